package edge

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

func (r *Registry) pages() store.Docs[octo.Page] {
	return store.Docs[octo.Page]{Store: r.Store, Prefix: store.PagesPrefix}
}

// pageID names a page by what is in it, so that another page is another name; no page has
// none.
func pageID(html string) string {
	if html == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(html))
	return hex.EncodeToString(sum[:8])
}

// writePage keeps a page for the proxy. It is written before the app's document names it.
func (r *Registry) writePage(ctx context.Context, app octo.Name, page octo.Page) error {
	r.claims.Lock() // as names, a page must not be left behind by an app
	defer r.claims.Unlock()
	if _, err := r.app(ctx, app); err != nil {
		return err
	}
	if _, err := r.pages().Replace(ctx, string(app), page, store.Any); err != nil {
		return fmt.Errorf("write page of %s: %w", app, err)
	}
	return nil
}

func (r *Registry) dropPage(ctx context.Context, app octo.Name) error {
	if err := r.pages().Delete(ctx, string(app)); err != nil {
		return fmt.Errorf("delete page of %s: %w", app, err)
	}
	return nil
}

// Page returns the page of an app that its document names, if it is there.
func (r *Registry) Page(ctx context.Context, app octo.Name, id string) (html string, ok bool) {
	doc, err := r.pages().Get(ctx, string(app))
	return doc.Value.HTML, err == nil && doc.Value.ID == id
}
