package platform

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

// Releases returns the releases of an app, newest first.
func (p *Platform) Releases(ctx context.Context, app octo.Name) ([]octo.Release, error) {
	docs, err := store.Docs[octo.Release]{Store: p.Store, Prefix: store.AppReleasesPrefix(app)}.All(ctx)
	if err != nil {
		return nil, fmt.Errorf("list releases of %s: %w", app, err)
	}
	list := make([]octo.Release, 0, len(docs))
	for _, d := range slices.Backward(docs) {
		list = append(list, d.Value)
	}
	return list, nil
}

// Release returns release n of an app.
func (p *Platform) Release(ctx context.Context, app octo.Name, n int) (octo.Release, error) {
	docs := store.Docs[octo.Release]{Store: p.Store, Prefix: store.ReleasesPrefix}
	doc, err := docs.Get(ctx, store.ReleaseName(app, n))
	if errors.Is(err, octo.ErrNotFound) {
		return doc.Value, octo.Errorf(octo.ErrNotFound, "%s has no release %s", app, octo.Version(n)).WithHint("list them with: octo releases -a %s", app)
	}
	return doc.Value, err
}

// Rollback makes what release to had run again; 0 means the previous live one.
func (p *Platform) Rollback(ctx context.Context, who octo.Identity, app octo.Name, to int, out io.Writer) error {
	return p.Deployer.Rollback(ctx, who, app, to, out)
}
