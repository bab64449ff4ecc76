package platform

import (
	"context"
	"errors"
	"fmt"
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

// Keys returns all keys.
func (p *Platform) Keys(ctx context.Context) ([]octo.Key, error) {
	docs, err := p.keys().All(ctx)
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	keys := make([]octo.Key, 0, len(docs))
	for _, d := range docs {
		keys = append(keys, d.Value)
	}
	return keys, nil
}

// Key returns the key with a fingerprint, or ErrNotFound.
func (p *Platform) Key(ctx context.Context, fingerprint string) (octo.Key, error) {
	doc, err := p.keys().Get(ctx, keyName(fingerprint))
	return doc.Value, err
}

// AddKey admits user with a public key. The first key of all belongs to an admin,
// or there would be nobody to add a second.
func (p *Platform) AddKey(ctx context.Context, who octo.Identity, user string, admin bool, authorized string) (octo.Key, error) {
	key, err := p.ParseKey(authorized)
	if err != nil {
		return octo.Key{}, err
	}
	if user == "" {
		user = userFrom(key.Comment)
	}
	if _, err := octo.ParseName(user); err != nil {
		return octo.Key{}, octo.Errorf(octo.ErrInvalid, "%.64q cannot be a user's name", user).WithHint("name the user with --user, for example --user ann")
	}
	first, err := p.noKeys(ctx)
	if err != nil {
		return octo.Key{}, err
	}
	key.User, key.Admin, key.Added = user, admin || first, now()
	_, err = p.keys().Create(ctx, keyName(key.Fingerprint), key)
	if errors.Is(err, octo.ErrConflict) {
		return octo.Key{}, p.taken(ctx, key)
	}
	if err != nil {
		return octo.Key{}, fmt.Errorf("write key: %w", err)
	}
	p.Record(octo.Event{Kind: octo.EventKeyAdded, User: who.User, Message: fmt.Sprintf("key %s of %s added", key.Fingerprint, user)})
	return key, nil
}

func (p *Platform) taken(ctx context.Context, key octo.Key) error {
	old, err := p.Key(ctx, key.Fingerprint)
	if err != nil {
		return fmt.Errorf("read key: %w", err)
	}
	return octo.Errorf(octo.ErrConflict, "this key already belongs to %s", old.User).
		WithHint("remove it first: octo keys:remove %s", key.Fingerprint)
}

func (p *Platform) noKeys(ctx context.Context) (bool, error) {
	keys, err := p.Store.List(ctx, store.KeysPrefix)
	if err != nil {
		return false, fmt.Errorf("list keys: %w", err)
	}
	return len(keys) == 0, nil
}

// Admitted returns when somebody has been admitted.
func (p *Platform) Admitted(ctx context.Context) error {
	for entries, err := range p.Store.Watch(ctx, store.KeysPrefix) {
		if err == nil && len(entries) > 0 {
			return nil
		}
	}
	return ctx.Err()
}

// RemoveKey takes a key away. The last key of an admin stays.
func (p *Platform) RemoveKey(ctx context.Context, who octo.Identity, fingerprint string) error {
	key, err := p.Key(ctx, fingerprint)
	if errors.Is(err, octo.ErrNotFound) {
		return octo.Errorf(octo.ErrNotFound, "no key %.80q", fingerprint).WithHint("list them with: octo keys")
	}
	if err != nil {
		return fmt.Errorf("read key: %w", err)
	}
	keys, err := p.Keys(ctx)
	if err != nil {
		return err
	}
	admins := 0
	for _, k := range keys {
		if k.Admin {
			admins++
		}
	}
	if key.Admin && admins == 1 && len(keys) > 1 {
		return octo.Errorf(octo.ErrConflict, "this is the last key of an admin").WithHint("add another first: octo keys:add --admin FILE")
	}
	if err := p.keys().Delete(ctx, keyName(fingerprint)); err != nil {
		return fmt.Errorf("delete key: %w", err)
	}
	p.Record(octo.Event{Kind: octo.EventKeyRemoved, User: who.User, Message: fmt.Sprintf("key %s of %s removed", key.Fingerprint, key.User)})
	return nil
}

// userFrom makes a user's name from a key's comment, "ann@laptop".
func userFrom(comment string) string {
	name, _, _ := strings.Cut(strings.ToLower(comment), "@")
	name = strings.Map(func(r rune) rune {
		if r == '-' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return -1
	}, name)
	if _, err := octo.ParseName(name); err != nil {
		return "admin"
	}
	return name
}
