package config

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	"github.com/octohost/octohost/internal/octo"
)

// Ensure sets those of the defaults that are not set, and returns the number of the
// version which has them: that of app, where nothing is missing. Nothing refers to a
// new one yet; the release that is being made will. ErrInvalid names what somebody
// must set.
func (v *Versions) Ensure(ctx context.Context, app octo.App, author string, defaults map[string]octo.ConfigDefault) (int, error) {
	if app.Destroying {
		return 0, octo.NoSuchApp(app.Name)
	}
	values, err := v.Read(ctx, app.Name, app.Config)
	if err != nil {
		return 0, err
	}
	values = maps.Clone(values)
	var added, missing []string
	for _, name := range slices.Sorted(maps.Keys(defaults)) {
		if _, set := values[name]; set {
			continue
		}
		switch d := defaults[name]; {
		case octo.CheckConfigName(name) != nil: // PORT and the like: octohost sets them
		case d.Generate:
			values[name], added = generated(), append(added, name)
		case d.Value != "":
			values[name], added = octo.ConfigValue(d.Value), append(added, name)
		case d.Required:
			missing = append(missing, name)
		}
	}
	switch {
	case len(missing) > 0:
		return 0, octo.Errorf(octo.ErrInvalid, "app.json asks for %s, which nobody has set", strings.Join(missing, ", ")).
			WithHint("octo config:set -a %s %s=…  and push again", app.Name, strings.Join(missing, "=… "))
	case len(added) == 0:
		return app.Config, nil
	}
	return v.Add(ctx, octo.ConfigDraft{App: app.Name, Author: author, Description: octo.ConfigChange{Set: added}.String() + " (app.json)", Values: values})
}

// generated returns a random value, as long as Heroku's: 64 hexadecimal digits.
func generated() octo.ConfigValue {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails, by crypto/rand
	return octo.ConfigValue(hex.EncodeToString(b[:]))
}
