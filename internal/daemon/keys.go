package daemon

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/octohost/octohost/internal/octo"
)

// expiresSoon is how long before a key expires people are told.
const expiresSoon = 14 * 24 * time.Hour

// checkKeys looks for keys that open nothing any more, or soon.
func checkKeys(ctx context.Context, p *patient) octo.Finding {
	if p.keys == nil {
		return fine("octo serve knows them")
	}
	keys, err := p.keys(ctx)
	if err != nil {
		return problem("", "%v", err)
	}
	return judgeKeys(keys, time.Now())
}

func judgeKeys(keys []octo.Key, now time.Time) octo.Finding {
	admins := 0
	var soon, late []string
	for _, k := range keys {
		switch left := k.Expires.Sub(now); {
		case k.Expires.IsZero() && k.Admin:
			admins++
		case k.Expired(now):
			late = append(late, k.User)
		case !k.Expires.IsZero() && left < expiresSoon:
			soon = append(soon, fmt.Sprintf("%s (%s)", k.User, k.Expires.UTC().Format(time.DateOnly)))
		case k.Admin:
			admins++
		}
	}
	slices.Sort(soon)
	switch {
	case len(keys) == 0:
		return warning("octo keys:add ~/.ssh/id_ed25519.pub", "nobody is admitted by SSH yet")
	case len(soon) > 0 && admins == 0:
		return warning("octo keys:add FILE --admin", "soon no admin can come in by SSH: keys expire of %s", someOf(soon))
	case admins == 0:
		return warning("octo keys:add FILE --admin", "no admin can come in by SSH, only on this machine")
	case len(soon) > 0:
		return warning("octo keys:add a new one for each who stays", "keys expire soon: %s", someOf(soon))
	case len(late) > 0:
		return fine("%d admitted, %d expired (octo keys)", len(keys)-len(late), len(late))
	}
	return fine("%d admitted", len(keys))
}

// someOf returns the first few of a list.
func someOf(list []string) string {
	const most = 5
	text := ""
	for i, s := range list[:min(most, len(list))] {
		if i > 0 {
			text += ", "
		}
		text += s
	}
	if len(list) > most {
		text += fmt.Sprintf(", and %d more", len(list)-most)
	}
	return text
}
