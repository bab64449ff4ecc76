package apitest

import (
	"context"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/octohost/octohost/internal/octo"
)

// Keys implements api.Keys.
func (w *World) Keys(_ context.Context, who octo.Identity) ([]octo.Key, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.keys), func(k octo.Key) bool {
		app := w.apps[k.App]
		theirs := k.User == who.User || app != nil && octo.Allowed(who, octo.ActionAppManage, app) == nil
		return !theirs && !who.Admin
	}), nil
}

// DeployKeys implements api.Keys.
func (w *World) DeployKeys(_ context.Context, app octo.Name) ([]octo.Key, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(w.keys), func(k octo.Key) bool { return k.App != app }), nil
}

// AddKey implements api.Keys.
func (w *World) AddKey(_ context.Context, who octo.Identity, wish octo.Admission) (octo.Key, error) {
	public, comment, _, _, err := ssh.ParseAuthorizedKey([]byte(wish.Line))
	if err != nil {
		return octo.Key{}, octo.Errorf(octo.ErrInvalid, "that is not a public key").WithHint("give a line as in ~/.ssh/id_ed25519.pub")
	}
	user := wish.User
	if user == "" {
		if user, err = octo.UserFrom(comment); err != nil {
			return octo.Key{}, err
		}
	}
	if wish.App != "" {
		user = octo.DeployUser(wish.App, user)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	key := octo.Key{
		Fingerprint: ssh.FingerprintSHA256(public), User: user, Admin: wish.Admin, App: wish.App, Comment: comment,
		Public: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public))), Added: w.Now(), Expires: wish.Expires,
	}
	if slices.ContainsFunc(w.keys, func(k octo.Key) bool { return k.Fingerprint == key.Fingerprint }) {
		return key, octo.Errorf(octo.ErrConflict, "this key already belongs to %s", user)
	}
	w.keys = append(w.keys, key)
	w.happen(octo.Event{Kind: octo.EventKeyAdded, User: who.User, Message: "key of " + user})
	return key, nil
}

// RemoveKey implements api.Keys.
func (w *World) RemoveKey(_ context.Context, who octo.Identity, app octo.Name, fingerprint string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	kept := slices.DeleteFunc(slices.Clone(w.keys), func(k octo.Key) bool { return k.Fingerprint == fingerprint && (app == "" || k.App == app) })
	if len(kept) == len(w.keys) {
		return octo.Errorf(octo.ErrNotFound, "no key %s", fingerprint).WithHint("list them with: octo keys")
	}
	w.keys = kept
	w.happen(octo.Event{Kind: octo.EventKeyRemoved, User: who.User, Message: "key " + fingerprint})
	return nil
}

// PutKey admits a key as it is.
func (w *World) PutKey(key octo.Key) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keys = append(w.keys, key)
}
