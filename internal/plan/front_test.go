package plan_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/plan"
)

// Whatever documents there are about names, a host is in one route at most: in that of
// the app that its document names, or else in that of the app whose own it is.
func TestNext_AHostLeadsToOneApp(t *testing.T) {
	apps := []octo.Name{"a", "b", "c"}
	hosts := []string{"*.example.org", "a.example.com", "b.example.com", "example.org", "x.a.example.com"} // sorted
	rapid.Check(t, func(t *rapid.T) {
		w := newSim("n1").World
		for _, name := range apps {
			if rapid.Bool().Draw(t, "there") {
				w.Apps = append(w.Apps, octo.App{Name: name, Destroying: rapid.Bool().Draw(t, "going")})
			}
		}
		said := map[string]octo.Name{}
		for _, host := range hosts {
			if !rapid.Bool().Draw(t, "taken") {
				continue
			}
			said[host] = rapid.SampledFrom(apps).Draw(t, "by")
			d := octo.Domain{Host: host, App: said[host], Kind: octo.DomainServe}
			if rapid.Bool().Draw(t, "redirect") {
				d.Kind, d.Target, d.Code = octo.DomainRedirect, "elsewhere.example", 308
			}
			w.Domains = append(w.Domains, d)
		}
		leads := map[string]octo.Name{}
		for _, r := range plan.Next(w).Routes {
			for _, host := range r.Hosts {
				require.Empty(t, leads[host], "%s leads to two apps", host)
				leads[host] = r.App
				if by, ok := said[host]; ok {
					require.Equal(t, by, r.App, host)
				} else {
					require.Equal(t, string(r.App)+".example.com", host)
				}
			}
			for _, x := range r.Redirects {
				require.Contains(t, r.Hosts, x.Host)
			}
		}
		for _, app := range w.Apps {
			for _, host := range append(slices.Clone(hosts), fmt.Sprintf("%s.example.com", app.Name)) {
				by, ok := said[host]
				own := !ok && strings.TrimSuffix(host, ".example.com") == string(app.Name)
				require.Equal(t, !app.Destroying && (by == app.Name || own), leads[host] == app.Name, "%s of %s", host, app.Name)
			}
		}
	})
}
