package edge_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"github.com/octohost/octohost/internal/hostname"
	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

func TestDomains_AreLiveWhenTheCommandReturns(t *testing.T) {
	w := newWorld(t, people()...)
	require.NoError(t, w.add(ann, "hello", "WWW.Bücher.example.", "*.example.com", "www.bücher.example"))
	for host, app := range map[string]octo.Name{
		"hello.apps.example.net": "hello", "www.xn--bcher-kva.example": "hello", "any.example.com": "hello", "example.com": "", "a.b.example.com": "",
	} {
		_, p := w.get(host)
		require.Equal(t, app, p.App, host)
	}
	list, err := w.Domains(t.Context(), "hello")
	require.NoError(t, err)
	require.Len(t, list, 3)
	require.Equal(t, octo.Domain{Host: "hello.apps.example.net", App: "hello", Kind: octo.DomainServe, Source: octo.DomainDefault}, list[0])
	require.Equal(t, "www.bücher.example", list[2].Unicode)
	require.Equal(t, "ann", list[2].By)
	require.False(t, list[2].Added.IsZero())

	gone, err := w.RemoveDomains(t.Context(), ann, "hello", octo.DomainServe, []string{"www.bücher.example"})
	require.NoError(t, err)
	require.Len(t, gone, 1)
	_, p := w.get("www.xn--bcher-kva.example")
	require.Equal(t, "unknown-host", p.Error)
	_, err = w.ClearDomains(t.Context(), ann, "hello", octo.DomainServe)
	require.NoError(t, err)
	_, p = w.get("any.example.com")
	require.Equal(t, "unknown-host", p.Error)
	require.Empty(t, w.hosts("hello"))

	var told []string
	for _, e := range w.events {
		told = append(told, fmt.Sprint(e.Kind, " ", e.App, " ", e.User, " ", e.Message))
	}
	require.Equal(t, []string{
		"domain.added hello ann www.xn--bcher-kva.example added", "domain.added hello ann *.example.com added",
		"domain.removed hello ann www.xn--bcher-kva.example removed", "domain.removed hello ann *.example.com removed",
	}, told)
}

// Nobody gets a name that is somebody else's, or that a name of somebody else keeps.
func TestDomains_NoTakeover(t *testing.T) {
	for _, c := range []struct {
		name  string
		has   string // of rival, which is bob's
		wants string // of hello, which is ann's
		who   octo.Identity
		says  string // empty: it is given
	}{
		{"the same", "example.com", "example.com", ann, "example.com is taken"},
		{"the same, by an admin", "example.com", "example.com", root, "example.com is taken by rival"},
		{"another below the same", "a.example.com", "b.example.com", ann, ""},
		{"below a name without *", "example.com", "www.example.com", ann, ""},
		{"one of many", "*.example.com", "www.example.com", ann, "www.example.com is taken"},
		{"deep below", "*.example.com", "a.b.example.com", ann, "a.b.example.com is taken"},
		{"the name itself", "*.example.com", "example.com", ann, "example.com is taken"},
		{"beside", "*.example.com", "www.notexample.com", ann, ""},
		{"one of many, by an admin", "*.example.com", "www.example.com", root, ""},
		{"many over one", "www.example.com", "*.example.com", ann, "*.example.com is taken"},
		{"many over one deep below", "a.b.example.com", "*.example.com", ann, "*.example.com is taken"},
		{"many over the name itself", "example.com", "*.example.com", ann, "*.example.com is taken"},
		{"many over many", "*.example.com", "*.a.example.com", ann, "*.a.example.com is taken"},
		{"many over many below", "*.a.example.com", "*.example.com", ann, "*.example.com is taken"},
		{"many over one, by an admin", "www.example.com", "*.example.com", root, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, people()...)
			require.NoError(t, w.add(bob, "rival", c.has))
			_, redirect := w.Redirect(t.Context(), c.who, "hello", c.wants, "elsewhere.example", 0)
			if c.says == "" {
				require.NoError(t, redirect)
				require.NoError(t, w.add(c.who, "hello", c.wants))
				return
			}
			for _, err := range []error{redirect, w.add(c.who, "hello", c.wants)} {
				require.ErrorIs(t, err, octo.ErrConflict)
				require.ErrorContains(t, err, c.says)
				if !c.who.Admin {
					require.NotContains(t, err.Error(), "rival", "whose it is, is nobody's business")
				}
			}
			require.Empty(t, w.hosts("hello"))
		})
	}
}

// Whose a name is, is told to those who may see that app; and who may change it there
// may also add what it keeps.
func TestDomains_AmongThoseWhoKnowEachOther(t *testing.T) {
	w := newWorld(t, people()...)
	require.NoError(t, w.add(ann, "shop", "*.example.com", "example.org"))
	err := w.add(ann, "hello", "example.org")
	require.ErrorContains(t, err, "example.org is taken by shop; take it away there first: octo domains:remove example.org -a shop")
	require.NoError(t, w.add(ann, "hello", "www.example.com"), "she may change both")
	_, p := w.get("www.example.com")
	require.Equal(t, octo.Name("hello"), p.App, "a whole name goes before one with *")
	_, p = w.get("else.example.com")
	require.Equal(t, octo.Name("shop"), p.App)

	err = w.add(carl, "hello", "login.example.com")
	require.ErrorIs(t, err, octo.ErrConflict, "carl may change hello only: shop's visitors are not his")
	require.NotContains(t, err.Error(), "shop")
}

func TestDomains_OfTheServerItself(t *testing.T) {
	w := newWorld(t, people()...)
	for host, kind := range map[string]error{
		"rival.apps.example.net": octo.ErrInvalid, "nobody.apps.example.net": octo.ErrInvalid, "www.rival.apps.example.net": octo.ErrInvalid,
		"*.apps.example.net": octo.ErrDenied, "apps.example.net": octo.ErrDenied, "*.example.net": octo.ErrDenied,
	} {
		require.ErrorIs(t, w.add(ann, "hello", host), kind, host)
		if kind == octo.ErrInvalid {
			require.ErrorIs(t, w.add(root, "hello", host), kind, host)
		}
	}
	require.NoError(t, w.add(ann, "hello", "hello.apps.example.net", "*.hello.apps.example.net", "a.b.hello.apps.example.net", "example.net"))
	_, p := w.get("tenant.hello.apps.example.net")
	require.Equal(t, octo.Name("hello"), p.App)
	require.NoError(t, w.add(root, "shop", "apps.example.net", "*.apps.example.net"), "a page at the domain itself, and for all that is not there")
	_, err := w.Redirect(t.Context(), bob, "rival", "rival.apps.example.net", "rival.example", 0)
	require.NoError(t, err, "its own name is its own, whoever has the rest")
	_, err = w.RemoveDomains(t.Context(), bob, "rival", octo.DomainRedirect, []string{"rival.apps.example.net"})
	require.NoError(t, err)
	_, p = w.get("nobody.apps.example.net")
	require.Equal(t, octo.Name("shop"), p.App)
	_, p = w.get("apps.example.net")
	require.Equal(t, octo.Name("shop"), p.App)
	_, p = w.get("rival.apps.example.net")
	require.Equal(t, octo.Name("rival"), p.App)
}

func TestDomains_AllOrNone(t *testing.T) {
	w := newWorld(t, people()...)
	require.NoError(t, w.add(bob, "rival", "taken.example.com"))
	require.ErrorIs(t, w.add(ann, "hello", "a.example.com", "taken.example.com", "b.example.com"), octo.ErrConflict)
	require.ErrorIs(t, w.add(ann, "hello", "a.example.com", "1.2.3.4"), octo.ErrInvalid)
	require.ErrorIs(t, w.add(ann, "hello"), octo.ErrInvalid)
	require.Empty(t, w.hosts("hello"))
	require.NoError(t, w.add(ann, "hello", "a.example.com"))
	for _, hosts := range [][]string{{"a.example.com", "missing.example.com"}, {"taken.example.com"}, {"a.example.com", "1.2.3.4"}} {
		_, err := w.RemoveDomains(t.Context(), ann, "hello", octo.DomainServe, hosts)
		require.Error(t, err)
		require.Equal(t, []string{"a.example.com"}, w.hosts("hello"))
	}
	_, err := w.RemoveDomains(t.Context(), ann, "hello", octo.DomainServe, []string{"hello.apps.example.net"})
	require.ErrorContains(t, err, "hello answers at hello.apps.example.net by its own name")
	require.ErrorIs(t, w.add(ann, "nope", "a.example.com"), octo.ErrNotFound)
}

// One app can neither grow without bound, nor leave no room to those whose routes are
// kept in the same document.
func TestDomains_AreBounded(t *testing.T) {
	w := newWorld(t, people()...)
	many := func(domain string, n int) (hosts []string) {
		for i := range n {
			hosts = append(hosts, fmt.Sprintf("%d.%s", i, domain))
		}
		return hosts
	}
	require.ErrorContains(t, w.add(ann, "hello", many("example.com", octo.MaxDomains+1)...), "hello would have 501 names, and 500 is the most")
	long := strings.Repeat("x", 60) + "." + strings.Repeat("y", 60) + "." + strings.Repeat("z", 60) + ".example.com"
	neighbours := []octo.App{}
	for i := 0; len(neighbours) < 8; i++ {
		name := octo.Name(fmt.Sprintf("app%d", i))
		if store.RouteShard(name) == store.RouteShard("hello") {
			neighbours = append(neighbours, octo.App{Name: name, Owner: "bob"})
		}
	}
	w.create(neighbours...)
	full := false
	for i, app := range neighbours {
		var g errgroup.Group
		for _, host := range many(fmt.Sprintf("n%d.%s", i, long), octo.MaxDomains/4) {
			g.Go(func() error {
				_, err := w.docs().Create(t.Context(), host, octo.Domain{Host: host, App: app.Name, Kind: octo.DomainRedirect, Target: long, Code: 308})
				return err
			})
		}
		require.NoError(t, g.Wait())
		err := w.add(bob, app.Name, fmt.Sprintf("last%d.example.org", i))
		full = full || errors.Is(err, octo.ErrUnavailable)
	}
	require.True(t, full)
	require.NoError(t, w.add(ann, "shop", "example.com"), "others do not notice")
	_, p := w.get("example.com")
	require.Equal(t, octo.Name("shop"), p.App)
}

func (w *world) docs() store.Docs[octo.Domain] {
	return store.Docs[octo.Domain]{Store: w.store, Prefix: store.DomainsPrefix}
}

func TestDomains_OfADestroyedAppAreFree(t *testing.T) {
	w := newWorld(t, people()...)
	require.NoError(t, w.add(ann, "hello", "example.com", "*.example.com"))
	_, err := w.apps().Update(t.Context(), "hello", func(a *octo.App) error { a.Destroying = true; return nil })
	require.NoError(t, err)
	require.ErrorIs(t, w.add(bob, "rival", "example.com"), octo.ErrConflict, "not before it is gone")
	require.ErrorIs(t, w.add(ann, "hello", "example.org"), octo.ErrNotFound)
	require.NoError(t, w.Forget(t.Context(), "hello"))
	require.NoError(t, w.add(bob, "rival", "example.com"))
}

// Claims that are made at the same time end as if they had been made one after the
// other.
func TestDomains_ClaimsAtTheSameTime(t *testing.T) {
	w := newWorld(t, people()...)
	for round := range 20 {
		domain := fmt.Sprintf("r%d.example.com", round)
		var claims sync.WaitGroup
		claims.Go(func() { _ = w.add(ann, "hello", "*."+domain) })
		claims.Go(func() { _ = w.add(bob, "rival", "www."+domain) })
		claims.Go(func() { _ = w.add(ann, "shop", "www."+domain) })
		claims.Wait()
	}
	w.unambiguous()
}

// unambiguous checks the book: no name of one person is kept by a name of another.
func (w *world) unambiguous() {
	w.t.Helper()
	owners := map[octo.Name]string{"hello": "ann", "shop": "ann", "rival": "bob"}
	all, err := w.docs().All(context.Background())
	require.NoError(w.t, err)
	for _, a := range all {
		for _, b := range all {
			kept := hostname.IsWild(a.Name) && hostname.Within(b.Name, hostname.Base(a.Name))
			require.False(w.t, kept && owners[a.Value.App] != owners[b.Value.App], "%s of %s keeps %s of %s", a.Name, a.Value.App, b.Name, b.Value.App)
		}
	}
}

// Whatever people and pushes do, and in whatever order: no name is kept from its owner,
// what people said stays until people say otherwise, and a name belongs to who got it.
func TestDomains_Invariants(t *testing.T) {
	w := newWorld(t, people()...)
	apps := people()
	who := []octo.Identity{ann, bob}
	release := 0
	rapid.Check(t, func(rt *rapid.T) {
		for _, a := range apps {
			require.NoError(rt, w.Forget(context.Background(), a.Name))
		}
		host := rapid.SampledFrom([]string{"example.com", "*.example.com", "a.example.com", "b.example.com", "*.a.example.com", "x.a.example.com"})
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			before := w.all()
			app := rapid.SampledFrom(apps).Draw(rt, "app")
			id := who[slices.IndexFunc(who, func(i octo.Identity) bool { return i.User == app.Owner })]
			push := false
			switch rapid.IntRange(0, 4).Draw(rt, "action") {
			case 0:
				_ = w.add(id, app.Name, host.Draw(rt, "host"))
			case 1:
				_, _ = w.Redirect(context.Background(), id, app.Name, host.Draw(rt, "host"), host.Draw(rt, "target"), 0)
			case 2:
				kind := rapid.SampledFrom([]octo.DomainKind{octo.DomainServe, octo.DomainRedirect}).Draw(rt, "kind")
				_, _ = w.RemoveDomains(context.Background(), id, app.Name, kind, []string{host.Draw(rt, "host")})
			default:
				push = true
				release++
				names := rapid.SliceOfN(host, 0, 3).Draw(rt, "CNAME")
				_, _, err := w.Pushed(context.Background(), octo.Release{App: app.Name, Number: release, Names: append([]string{}, names...), Outcome: octo.Live})
				require.NoError(rt, err)
			}
			w.unambiguous()
			for name, d := range before {
				now, still := w.all()[name]
				require.True(rt, !still || now.App == d.App, "%s went from %s to %s in one step", name, d.App, now.App)
				require.True(rt, still || d.App == app.Name, "%s was taken from %s by %s", name, d.App, app.Name)
				require.False(rt, push && d.Source == octo.DomainManual && (!still || cmp.Compare(now.Kind, d.Kind) != 0 || now.Source != d.Source), "a push changed %s", name)
			}
		}
	})
}

func (w *world) all() map[string]octo.Domain {
	docs, err := w.docs().All(context.Background())
	require.NoError(w.t, err)
	all := map[string]octo.Domain{}
	for _, d := range docs {
		all[d.Name] = d.Value
	}
	return all
}
