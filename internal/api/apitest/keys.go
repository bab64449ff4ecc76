package apitest

import (
	"context"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/octohost/octohost/internal/octo"
)

// Keys implements api.Keys.
func (w *World) Keys(context.Context) ([]octo.Key, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.keys), nil
}

// AddKey implements api.Keys.
func (w *World) AddKey(_ context.Context, who octo.Identity, user string, admin bool, authorized string) (octo.Key, error) {
	public, comment, _, _, err := ssh.ParseAuthorizedKey([]byte(authorized))
	if err != nil {
		return octo.Key{}, octo.Errorf(octo.ErrInvalid, "that is not a public key").WithHint("give a line as in ~/.ssh/id_ed25519.pub")
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	key := octo.Key{
		Fingerprint: ssh.FingerprintSHA256(public), User: user, Admin: admin, Comment: comment,
		Public: strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public))), Added: w.Now(),
	}
	w.keys = append(w.keys, key)
	w.happen(octo.Event{Kind: octo.EventKeyAdded, User: who.User, Message: "key of " + user})
	return key, nil
}

// RemoveKey implements api.Keys.
func (w *World) RemoveKey(_ context.Context, who octo.Identity, fingerprint string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	kept := slices.DeleteFunc(slices.Clone(w.keys), func(k octo.Key) bool { return k.Fingerprint == fingerprint })
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
