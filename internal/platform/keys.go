package platform

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

func (p *Platform) keys() store.Docs[octo.Key] {
	return store.Docs[octo.Key]{Store: p.Store, Prefix: store.KeysPrefix}
}

// keyName is the name of a key's document: its fingerprint, in which a slash would
// split the key in two.
func keyName(fingerprint string) string { return strings.ReplaceAll(fingerprint, "/", "_") }

// Keys returns the keys that who may see: admins all, others their own and the deploy
// keys of apps that are theirs.
func (p *Platform) Keys(ctx context.Context, who octo.Identity) ([]octo.Key, error) {
	docs, err := p.keys().All(ctx)
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	owns, err := p.may(ctx, who, octo.ActionAppManage)
	if err != nil {
		return nil, err
	}
	keys := make([]octo.Key, 0, len(docs))
	for _, d := range docs {
		k := d.Value
		if k.User == who.User || k.App != "" && owns(k.App) || octo.Allowed(who, octo.ActionAdmin, nil) == nil {
			keys = append(keys, k)
		}
	}
	return keys, nil
}

// DeployKeys returns the deploy keys of an app.
func (p *Platform) DeployKeys(ctx context.Context, app octo.Name) ([]octo.Key, error) {
	docs, err := p.keys().All(ctx)
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	keys := []octo.Key{}
	for _, d := range docs {
		if d.Value.App == app {
			keys = append(keys, d.Value)
		}
	}
	return keys, nil
}

// Key returns the key with a fingerprint, or ErrNotFound.
func (p *Platform) Key(ctx context.Context, fingerprint string) (octo.Key, error) {
	doc, err := p.keys().Get(ctx, keyName(fingerprint))
	return doc.Value, err
}

// WatchKeys yields every key, first and after each change.
func (p *Platform) WatchKeys(ctx context.Context) iter.Seq2[[]octo.Key, error] {
	return func(yield func([]octo.Key, error) bool) {
		for docs, err := range p.keys().Watch(ctx) {
			keys := make([]octo.Key, 0, len(docs))
			for _, d := range docs {
				keys = append(keys, d.Value)
			}
			if !yield(keys, err) {
				return
			}
		}
	}
}

// AddKey admits somebody, or a machine that deploys. The first key of a person
// belongs to an admin, or there would be nobody to add a second.
func (p *Platform) AddKey(ctx context.Context, who octo.Identity, wish octo.Admission) (octo.Key, error) {
	key, err := p.parseKey(wish)
	if err != nil {
		return octo.Key{}, err
	}
	if wish.App != "" {
		if err := p.mayGetKeys(ctx, wish.App); err != nil {
			return octo.Key{}, err
		}
	} else if !key.Admin {
		if key.Admin, err = p.nobody(ctx); err != nil {
			return octo.Key{}, err
		}
	}
	_, err = p.keys().Create(ctx, keyName(key.Fingerprint), key)
	if errors.Is(err, octo.ErrConflict) {
		return octo.Key{}, p.taken(ctx, who, key)
	}
	if err != nil {
		return octo.Key{}, fmt.Errorf("write key: %w", err)
	}
	if wish.App != "" { // a key must not outlive an app that goes: its name may be another's soon
		if err := p.mayGetKeys(ctx, wish.App); err != nil {
			return octo.Key{}, errors.Join(err, p.keys().Delete(ctx, keyName(key.Fingerprint)))
		}
	}
	p.Record(octo.Event{Kind: octo.EventKeyAdded, App: key.App, User: who.User, Message: fmt.Sprintf("key %s of %s added", key.Fingerprint, key.User)})
	return key, nil
}

// parseKey checks a wish, and returns the key that it would make.
func (p *Platform) parseKey(wish octo.Admission) (octo.Key, error) {
	key, err := p.ParseKey(wish.Line)
	if err != nil {
		return key, err
	}
	switch {
	case wish.App != "" && wish.Admin:
		return key, octo.Errorf(octo.ErrInvalid, "a deploy key opens one app only, so it cannot be an admin's").WithHint("leave out one of the two")
	case !wish.Expires.IsZero() && !wish.Expires.After(now()):
		return key, octo.Errorf(octo.ErrInvalid, "the key would have expired already, on %s", wish.Expires.UTC().Format("2006-01-02 15:04 MST"))
	}
	user := wish.User
	if user == "" {
		if user, err = octo.UserFrom(key.Comment); err != nil {
			return key, err
		}
	}
	if _, err := octo.ParseName(user); err != nil {
		return key, octo.Errorf(octo.ErrInvalid, "%.64q cannot be a user's name", user).WithHint("use lower-case letters, digits and hyphens, for example ann")
	}
	if wish.App != "" {
		user = octo.DeployUser(wish.App, user)
	}
	key.User, key.Admin, key.App, key.Expires, key.Added = user, wish.Admin, wish.App, wish.Expires.UTC(), now()
	return key, nil
}

// mayGetKeys says whether an app is there to stay.
func (p *Platform) mayGetKeys(ctx context.Context, name octo.Name) error {
	app, err := p.app(ctx, name)
	if err == nil && app.Destroying {
		err = octo.NoSuchApp(name)
	}
	return err
}

// taken is the answer about a key that is admitted already. Whose it is only admins
// get to know, and who has it themselves.
func (p *Platform) taken(ctx context.Context, who octo.Identity, key octo.Key) error {
	old, err := p.Key(ctx, key.Fingerprint)
	if err != nil {
		return fmt.Errorf("read key: %w", err)
	}
	if octo.Allowed(who, octo.ActionAdmin, nil) != nil && old.User != key.User {
		return octo.Errorf(octo.ErrConflict, "this key is in use already").WithHint("make one of its own for each purpose: ssh-keygen -t ed25519 -f ci")
	}
	return octo.Errorf(octo.ErrConflict, "this key already belongs to %s", old.User).
		WithHint("remove it first: octo keys:remove %s", key.Fingerprint)
}

// nobody reports whether no person is admitted yet.
func (p *Platform) nobody(ctx context.Context) (bool, error) {
	docs, err := p.keys().All(ctx)
	if err != nil {
		return false, fmt.Errorf("list keys: %w", err)
	}
	for _, d := range docs {
		if d.Value.App == "" {
			return false, nil
		}
	}
	return true, nil
}

// Admitted returns when somebody has been admitted.
func (p *Platform) Admitted(ctx context.Context) error {
	for keys, err := range p.WatchKeys(ctx) {
		if err == nil && len(keys) > 0 {
			return nil
		}
	}
	return ctx.Err()
}

// RemoveKey takes a key away; with an app, only if it is one of its deploy keys. The
// last key of an admin stays.
func (p *Platform) RemoveKey(ctx context.Context, who octo.Identity, app octo.Name, fingerprint string) error {
	key, err := p.Key(ctx, fingerprint)
	if errors.Is(err, octo.ErrNotFound) || err == nil && app != "" && key.App != app {
		return octo.Errorf(octo.ErrNotFound, "no key %.80q", fingerprint).WithHint("list them with: octo keys")
	}
	if err != nil {
		return fmt.Errorf("read key: %w", err)
	}
	if err := p.mayGo(ctx, key); err != nil {
		return err
	}
	if err := p.keys().Delete(ctx, keyName(fingerprint)); err != nil {
		return fmt.Errorf("delete key: %w", err)
	}
	p.Record(octo.Event{Kind: octo.EventKeyRemoved, App: key.App, User: who.User, Message: fmt.Sprintf("key %s of %s removed", key.Fingerprint, key.User)})
	return nil
}

// mayGo refuses to take the last key of an admin away from those who would be left
// without one.
func (p *Platform) mayGo(ctx context.Context, key octo.Key) error {
	if !key.Admin {
		return nil
	}
	docs, err := p.keys().All(ctx)
	if err != nil {
		return fmt.Errorf("list keys: %w", err)
	}
	for _, d := range docs {
		if k := d.Value; k.Admin && k.Fingerprint != key.Fingerprint && !k.Expired(now()) {
			return nil
		}
	}
	if len(docs) == 1 {
		return nil
	}
	return octo.Errorf(octo.ErrConflict, "this is the last key of an admin").WithHint("add another first: octo keys:add --admin FILE")
}

// admits says whether the key that somebody came in with still stands for them: they
// may have been here for long.
func (p *Platform) admits(ctx context.Context, who octo.Identity) error {
	if who.Key == "" { // of the local socket
		return nil
	}
	key, err := p.Key(ctx, who.Key)
	if errors.Is(err, octo.ErrNotFound) || err == nil && key.Identity(who.Remote) != who {
		return octo.NotAdmitted()
	}
	if err != nil {
		return fmt.Errorf("read key: %w", err)
	}
	return key.Check(now())
}
