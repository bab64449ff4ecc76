package sshd

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/crypto/ssh"

	"github.com/octohost/octohost/internal/octo"
)

// LoadHostKey reads the key by which clients know this octohost, and makes one
// (ed25519) where there is none yet. The file must not be readable by others.
func LoadHostKey(path string) (ssh.Signer, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the daemon's own
	if errors.Is(err, fs.ErrNotExist) {
		text, err = makeHostKey(path)
	}
	if err != nil {
		return nil, fmt.Errorf("read host key: %w", err)
	}
	if st, err := os.Stat(path); err == nil && st.Mode().Perm()&0o077 != 0 {
		return nil, octo.Errorf(octo.ErrInvalid, "others may read the SSH host key %s", path).WithHint("chmod 600 %s", path)
	}
	key, err := ssh.ParsePrivateKey(text)
	if err != nil {
		return nil, octo.Errorf(octo.ErrInvalid, "%s is not an SSH host key: %v", path, err).
			WithHint("restore it from a backup; or move it away to get a new one, and tell everybody that it changed")
	}
	return key, nil
}

// makeHostKey writes a new key whole or not at all, and never over another.
func makeHostKey(path string) ([]byte, error) {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	block, err := ssh.MarshalPrivateKey(private, "octohost")
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(block)
	tmp := path + ".new"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600) //nolint:gosec // the daemon's own
	if err != nil {
		return nil, err
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return nil, err
	}
	return text, os.Rename(tmp, path)
}
