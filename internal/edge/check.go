package edge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/octohost/octohost/internal/hostname"
	"github.com/octohost/octohost/internal/octo"
)

const (
	// lookupWait is how long the DNS may take for all names of an app.
	lookupWait = 5 * time.Second
	// lookups is how many questions are asked at a time.
	lookups = 16
)

// CheckDomains asks the DNS where the names of an app lead: to where the app is reached
// by its own name, or elsewhere.
func (r *Registry) CheckDomains(ctx context.Context, app octo.Name) ([]octo.DomainCheck, error) {
	b, err := r.read(ctx)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, lookupWait)
	defer cancel()
	own := octo.DefaultHost(app, r.Domain)
	here, _ := r.Lookup(ctx, own) // without an answer, nothing leads here
	names := b.of(app)
	checks := make([]octo.DomainCheck, len(names))
	var g errgroup.Group
	g.SetLimit(lookups)
	for i, d := range names {
		g.Go(func() error {
			checks[i] = r.check(ctx, d.Name, own, here)
			return nil
		})
	}
	return checks, g.Wait()
}

// check asks the DNS where one name leads.
func (r *Registry) check(ctx context.Context, host, own string, here []string) octo.DomainCheck {
	ask := host
	if hostname.IsWild(host) {
		ask = "octohost-check." + hostname.Base(host) // any name will do
	}
	c := octo.DomainCheck{Host: host}
	found, err := r.Lookup(ctx, ask)
	var unknown *net.DNSError
	slices.Sort(found)
	c.Addresses = found
	c.Here = slices.ContainsFunc(found, func(a string) bool { return slices.Contains(here, a) })
	advice := "point it there with a record of type CNAME to " + own
	if len(here) > 0 {
		advice += ", or A and AAAA to " + strings.Join(here, " ")
	}
	switch {
	case c.Here:
		c.Message = "leads here"
	case errors.As(err, &unknown) && unknown.IsNotFound:
		c.Message = "has no address: " + advice
	case err != nil:
		c.Message = fmt.Sprintf("the DNS does not answer: %v", err)
	default:
		c.Message = fmt.Sprintf("leads to %s, not here; unless that passes visitors on, %s", strings.Join(found, " "), advice)
	}
	return c
}
