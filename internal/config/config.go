// Package config keeps what apps are configured with: numbered, immutable versions,
// sealed in the store, of which every release names one. It hands them to containers
// and builds.
package config

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

// Sealer keeps what it seals from everybody else. What is about something else does
// not open.
type Sealer interface {
	Seal(ctx context.Context, plain []byte, about string) ([]byte, error)
	Open(ctx context.Context, sealed []byte, about string) ([]byte, error)
}

// Versions are the configuration versions of all apps.
type Versions struct {
	Store  store.Store
	Sealer Sealer
}

// record is a version as the store holds it.
type record struct {
	Author      string    `json:"author"`
	Created     time.Time `json:"created"`
	Description string    `json:"description"`
	Sealed      []byte    `json:"sealed"` // its values
}

func (v *Versions) docs(app octo.Name) store.Docs[record] {
	return store.Docs[record]{Store: v.Store, Prefix: store.AppConfigPrefix(app)}
}

// about binds what is sealed to the app and the version that it belongs to.
func about(app octo.Name, n int) string { return fmt.Sprintf("configuration c%d of %s", n, app) }

// Read returns the values of version n of an app. Version 0 has none. ErrNotFound
// says that there is no such version, ErrUnavailable that this node cannot read it.
func (v *Versions) Read(ctx context.Context, app octo.Name, n int) (octo.Config, error) {
	if n == 0 {
		return octo.Config{}, nil
	}
	doc, err := v.docs(app).Get(ctx, store.ConfigName(n))
	if errors.Is(err, octo.ErrNotFound) {
		return nil, octo.Errorf(octo.ErrNotFound, "%s has no configuration c%d", app, n).WithHint("list them with: octo config:history -a %s", app)
	}
	if err != nil {
		return nil, fmt.Errorf("read configuration c%d of %s: %w", n, app, err)
	}
	plain, err := v.Sealer.Open(ctx, doc.Value.Sealed, about(app, n))
	if err != nil {
		return nil, unreadable(app, err)
	}
	values, err := decode(plain)
	if err != nil {
		return nil, fmt.Errorf("decode configuration c%d of %s: %w", n, app, err)
	}
	return values, nil
}

// unreadable adds what to do to an error that says nothing of it.
func unreadable(app octo.Name, err error) error {
	var e *octo.Error
	if !errors.As(err, &e) || e.Hint != "" {
		return err
	}
	return e.WithHint("set it anew, all of it: octo config:import --replace FILE -a %s", app)
}

// Add writes a new version and returns its number, which is higher than that of every
// other that there is.
func (v *Versions) Add(ctx context.Context, d octo.ConfigDraft) (int, error) {
	if err := d.Values.Check(); err != nil {
		return 0, err
	}
	plain := encode(d.Values)
	for {
		last, err := v.last(ctx, d.App)
		if err != nil {
			return 0, err
		}
		n := last + 1
		sealed, err := v.Sealer.Seal(ctx, plain, about(d.App, n))
		if err != nil {
			return 0, err
		}
		r := record{Author: d.Author, Created: time.Now().UTC(), Description: d.Description, Sealed: sealed}
		_, err = v.docs(d.App).Create(ctx, store.ConfigName(n), r)
		if err == nil {
			return n, nil
		}
		if !errors.Is(err, octo.ErrConflict) {
			return 0, fmt.Errorf("write configuration c%d of %s: %w", n, d.App, err)
		}
	}
}

// last returns the highest number of an app's versions. The reaper leaves that one
// alone.
func (v *Versions) last(ctx context.Context, app octo.Name) (int, error) {
	prefix := store.AppConfigPrefix(app)
	entries, err := v.Store.List(ctx, prefix)
	if err != nil {
		return 0, fmt.Errorf("list configurations of %s: %w", app, err)
	}
	if len(entries) == 0 {
		return 0, nil
	}
	n, err := strconv.Atoi(entries[len(entries)-1].Key[len(prefix):])
	if err != nil {
		return 0, fmt.Errorf("read the number of a configuration of %s: %w", app, err)
	}
	return n, nil
}

// List returns what is known of the versions of an app, besides their values, oldest
// first.
func (v *Versions) List(ctx context.Context, app octo.Name) ([]octo.ConfigVersion, error) {
	docs, err := v.docs(app).All(ctx)
	if err != nil {
		return nil, fmt.Errorf("list configurations of %s: %w", app, err)
	}
	list := make([]octo.ConfigVersion, 0, len(docs))
	for _, d := range docs {
		n, err := strconv.Atoi(d.Name)
		if err != nil {
			return nil, fmt.Errorf("read the number of a configuration of %s: %w", app, err)
		}
		list = append(list, octo.ConfigVersion{Number: n, Author: d.Value.Author, Created: d.Value.Created, Description: d.Value.Description})
	}
	return list, nil
}

// Remove removes a version that nothing refers to.
func (v *Versions) Remove(ctx context.Context, app octo.Name, n int) error {
	if err := v.docs(app).Delete(ctx, store.ConfigName(n)); err != nil {
		return fmt.Errorf("delete configuration c%d of %s: %w", n, app, err)
	}
	return nil
}

// Environment returns what the containers of a release are given of its
// configuration: variables as NAME=value, and files for values that cannot be such,
// with variables that name them.
func (v *Versions) Environment(ctx context.Context, r octo.Release) ([]string, []engine.File, error) {
	values, err := v.Read(ctx, r.App, r.Config)
	if err != nil {
		return nil, nil, err
	}
	env := make([]string, 0, len(values))
	var files []engine.File
	for _, name := range slices.Sorted(maps.Keys(values)) {
		value := values[name]
		if value.NeedsFile(name) {
			files = append(files, engine.File{Path: octo.ConfigFiles + "/" + name, Content: value})
			env = append(env, octo.FileVariable(name))
			continue
		}
		env = append(env, name+"="+string(value))
	}
	return env, files, nil
}

// Readable returns nil if the containers of a release could be given its
// configuration now.
func (v *Versions) Readable(ctx context.Context, r octo.Release) error {
	_, err := v.Read(ctx, r.App, r.Config)
	return err
}

// Some returns the values of some variables of version n. Those that are not set are
// left out.
func (v *Versions) Some(ctx context.Context, app octo.Name, n int, names []string) (map[string][]byte, error) {
	all, err := v.Read(ctx, app, n)
	if err != nil {
		return nil, err
	}
	some := map[string][]byte{}
	for _, name := range names {
		if value, ok := all[name]; ok {
			some[name] = value
		}
	}
	return some, nil
}
