package secret

import (
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/octohost/octohost/internal/octo"
)

// nodeKey is the X25519 key pair of this node.
type nodeKey struct {
	private, public [32]byte
}

// nodeKeyText stands above the key in its file.
const nodeKeyText = `# The key of this octohost node. Without it the configuration of its apps cannot be
# read. Keep a copy in a safe place, apart from copies of octo.db.
`

// renewal is what somebody writes into the file whose key is lost for good: a new one
// is made, and what was sealed before is given up.
const renewal = "new"

// errRenew says that somebody wants a new key.
var errRenew = errors.New("a new key is wanted")

// readNodeKey reads the key of this node, which must be there.
func readNodeKey(path string) (nodeKey, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the daemon's own
	if errors.Is(err, fs.ErrNotExist) {
		return nodeKey{}, octo.Errorf(octo.ErrUnavailable, "the key of this node is gone (%s), so the configuration of apps cannot be read", path).WithHint("%s", restore)
	}
	if err != nil {
		return nodeKey{}, octo.Errorf(octo.ErrUnavailable, "the key of this node cannot be read: %v", err)
	}
	if st, err := os.Stat(path); err == nil && st.Mode().Perm()&0o077 != 0 {
		return nodeKey{}, octo.Errorf(octo.ErrUnavailable, "others may read the key of this node, %s", path).WithHint("chmod 600 %s", path)
	}
	if strings.TrimSpace(string(text)) == renewal {
		return nodeKey{}, errRenew
	}
	key, err := parseNodeKey(string(text))
	if err != nil {
		return nodeKey{}, octo.Errorf(octo.ErrUnavailable, "%s is not the key of a node: %v", path, err).WithHint("%s", restore)
	}
	return key, nil
}

// parseNodeKey reads the text of a key file: a line of base64, and comments.
func parseNodeKey(text string) (nodeKey, error) {
	var encoded string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		switch {
		case line == "", line[0] == '#':
		case encoded != "":
			return nodeKey{}, errors.New("it has more than one key")
		default:
			encoded = line
		}
	}
	secret, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nodeKey{}, errors.New("it is not base64") // the reason would tell a part of it
	}
	private, err := ecdh.X25519().NewPrivateKey(secret)
	if err != nil {
		return nodeKey{}, fmt.Errorf("it has %d bytes instead of 32", len(secret))
	}
	return newNodeKey(private), nil
}

func newNodeKey(private *ecdh.PrivateKey) nodeKey {
	return nodeKey{private: [32]byte(private.Bytes()), public: [32]byte(private.PublicKey().Bytes())}
}

// ensureNodeKey reads the key of this node, and makes it where there is none.
func ensureNodeKey(path string) (nodeKey, error) {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		key, err := readNodeKey(path)
		if !errors.Is(err, errRenew) {
			return key, err
		}
		if err := os.Remove(path); err != nil {
			return nodeKey{}, fmt.Errorf("make room for a new node key: %w", err)
		}
	}
	private, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return nodeKey{}, fmt.Errorf("make node key: %w", err)
	}
	text := nodeKeyText + base64.StdEncoding.EncodeToString(private.Bytes()) + "\n"
	switch err := writeKey(path, text); {
	case errors.Is(err, fs.ErrExist): // somebody was faster
		return readNodeKey(path)
	case err != nil:
		return nodeKey{}, fmt.Errorf("write node key: %w", err)
	}
	return newNodeKey(private), nil
}

// writeKey writes a file whole or not at all, never over another, and so that it
// survives a power cut: what is sealed next can be read with this key only.
func writeKey(path, text string) error {
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer dir.Close()                                    //nolint:errcheck // it was only synced
	f, err := os.CreateTemp(dir.Name(), ".new-node-key") // with mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // it has another name by then, or is of no use
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil {
		return err
	}
	return dir.Sync()
}

// fingerprint names a public key for people.
func fingerprint(public []byte) string {
	sum := sha256.Sum256(public)
	return fmt.Sprintf("%x", sum[:4])
}
