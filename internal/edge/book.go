package edge

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/octohost/octohost/internal/hostname"
	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

// book is every name that is somebody's, sorted by host. Its pages are read when they are
// looked at: there may be many, and a claim concerns few.
type book []store.Entry

// entry is a page of the book: a name of an app. The zero entry is that of a free name.
type entry = store.Doc[octo.Domain]

// read returns the book as it is now.
func (r *Registry) read(ctx context.Context) (book, error) {
	all, err := r.Store.List(ctx, store.DomainsPrefix)
	if err != nil {
		return nil, fmt.Errorf("list domains: %w", err)
	}
	return all, nil
}

func hostOf(e store.Entry) string { return strings.TrimPrefix(e.Key, store.DomainsPrefix) }

// open reads a page. What cannot be read is a name that nobody has, and that nobody gets.
func open(e store.Entry) entry {
	d := entry{Name: hostOf(e), Version: e.Version}
	if err := json.Unmarshal(e.Value, &d.Value); err != nil {
		d.Value = octo.Domain{Host: d.Name}
	}
	return d
}

// find returns the entry of exactly this name.
func (b book) find(host string) (entry, bool) {
	i, ok := slices.BinarySearchFunc(b, host, func(e store.Entry, h string) int { return strings.Compare(hostOf(e), h) })
	if !ok {
		return entry{}, false
	}
	return open(b[i]), true
}

// leads returns the entry that requests for host find.
func (b book) leads(host string) (octo.Domain, bool) {
	d, ok := b.find(host)
	if _, parent, below := strings.Cut(host, "."); !ok && below {
		d, ok = b.find("*." + parent)
	}
	return d.Value, ok
}

// of returns the names of an app.
func (b book) of(app octo.Name) []entry {
	var own []entry
	mark := []byte(strconv.Quote(string(app))) // somewhere in every page of the app's
	for _, e := range b {
		if !bytes.Contains(e.Value, mark) {
			continue
		}
		if d := open(e); d.Value.App == app {
			own = append(own, d)
		}
	}
	return own
}

// near returns the names of other apps that would share visitors with host, or that
// keep all names below them for their owner.
func (b book) near(host string, app octo.Name) []octo.Domain {
	var all []octo.Domain
	take := func(d entry) {
		if d.Value.App != app && d.Name != host {
			all = append(all, d.Value)
		}
	}
	if hostname.IsWild(host) {
		for _, e := range b {
			if hostname.Within(hostOf(e), hostname.Base(host)) {
				take(open(e))
			}
		}
	}
	for _, guard := range hostname.Guards(host) {
		if d, ok := b.find(guard); ok {
			take(d)
		}
	}
	return all
}

// loops reports whether visitors who are sent from d come back to it.
func (b book) loops(d octo.Domain) bool {
	at := hostname.TargetHost(d.Target)
	for range len(b) + 1 {
		next, ok := b.leads(at)
		exact := ok && next.Host == at
		if next.Host == d.Host || !exact && hostname.Matches(d.Host, at) {
			return true
		}
		if !ok || next.Kind != octo.DomainRedirect {
			return false
		}
		at = hostname.TargetHost(next.Target)
	}
	return true
}
