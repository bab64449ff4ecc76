// Package secret seals what only octohost may read: XChaCha20-Poly1305 under one data
// key for all nodes, which the store holds sealed for the key of each node. What is
// sealed is bound to what it is, so that it cannot stand in for something else.
package secret

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/crypto/chacha20poly1305"
	"golang.org/x/crypto/nacl/box"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

// Config is what a Box needs.
type Config struct {
	Store store.Store
	Node  string // this node's name
	File  string // where this node's key is, or will be
}

// Box seals and opens. It reads the data key when it is needed first, so that a node
// whose key is lost does everything else.
type Box struct {
	Config

	mu  sync.Mutex
	key *dataKey // nil until it was needed
}

// New returns a Box.
func New(cfg Config) *Box { return &Box{Config: cfg} }

// What is sealed begins with the format and the id of its data key, then comes the
// nonce.
const (
	format   = 1
	idSize   = 8
	preamble = 1 + idSize
)

// Seal encrypts plain, bound to what it is about: it opens only with the same words.
func (b *Box) Seal(ctx context.Context, plain []byte, about string) ([]byte, error) {
	key, err := b.load(ctx)
	if err != nil {
		return nil, err
	}
	aead, err := chacha20poly1305.NewX(key.secret[:])
	if err != nil {
		return nil, fmt.Errorf("seal: %w", err)
	}
	out := make([]byte, preamble+aead.NonceSize(), preamble+aead.NonceSize()+len(plain)+aead.Overhead())
	out[0] = format
	copy(out[1:], key.id[:])
	nonce := out[preamble:]
	_, _ = rand.Read(nonce) // never fails, by crypto/rand
	return aead.Seal(out, nonce, plain, additional(out[:preamble], about)), nil
}

// Open decrypts what Seal returned for the same words. What was changed or is about
// something else is ErrInvalid; ErrUnavailable says that this node cannot read it.
func (b *Box) Open(ctx context.Context, sealed []byte, about string) ([]byte, error) {
	if len(sealed) < preamble+chacha20poly1305.NonceSizeX || sealed[0] != format {
		return nil, octo.Errorf(octo.ErrInvalid, "%s is not sealed in a way that this octohost knows", about)
	}
	key, err := b.load(ctx)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(sealed[1:preamble], key.id[:]) {
		return nil, octo.Errorf(octo.ErrUnavailable, "%s was sealed with another data key (%x) than the one of this octohost (%x)", about, sealed[1:preamble], key.id)
	}
	aead, err := chacha20poly1305.NewX(key.secret[:])
	if err != nil {
		return nil, fmt.Errorf("open: %w", err)
	}
	nonce := sealed[preamble : preamble+aead.NonceSize()]
	plain, err := aead.Open(nil, nonce, sealed[preamble+len(nonce):], additional(sealed[:preamble], about))
	if err != nil {
		return nil, octo.Errorf(octo.ErrInvalid, "%s was changed since it was sealed", about)
	}
	return plain, nil
}

// Check makes the keys where there are none yet, and says what is wrong with them:
// also with those that this process has no longer to read.
func (b *Box) Check(ctx context.Context) error {
	if _, err := b.load(ctx); err != nil {
		return err
	}
	doc, err := b.docs().Get(ctx, b.Node)
	if err != nil {
		return fmt.Errorf("read data key: %w", err)
	}
	if _, err = b.unwrap(doc.Value); errors.Is(err, errRenew) {
		return octo.Errorf(octo.ErrUnavailable, "a new key of this node is made when octo starts again").WithHint("systemctl restart octohost")
	}
	return err
}

func additional(preamble []byte, about string) []byte {
	return append(bytes.Clone(preamble), about...)
}

// dataKey seals everything.
type dataKey struct {
	secret [chacha20poly1305.KeySize]byte
	id     [idSize]byte
}

func newDataKey(secret [chacha20poly1305.KeySize]byte) *dataKey {
	k := &dataKey{secret: secret}
	sum := sha256.Sum256(append([]byte("octohost data key id\x00"), secret[:]...))
	copy(k.id[:], sum[:])
	return k
}

// wrapped is the data key as the store holds it, for one node.
type wrapped struct {
	ID     []byte `json:"id"`     // of the data key
	Public []byte `json:"public"` // key of the node
	Sealed []byte `json:"sealed"` // the data key, for the holder of that key only (NaCl's anonymous box)
}

// load returns the data key. What went wrong is tried again the next time: a key file
// may have been brought back.
func (b *Box) load(ctx context.Context) (*dataKey, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.key == nil {
		doc, err := b.docs().Get(ctx, b.Node)
		switch {
		case err == nil:
			if b.key, err = b.unwrap(doc.Value); errors.Is(err, errRenew) {
				err = b.renew(ctx, doc.Version)
			}
		case errors.Is(err, octo.ErrNotFound):
			err = b.begin(ctx)
		default:
			err = fmt.Errorf("read data key: %w", err)
		}
		if err != nil {
			return nil, err
		}
	}
	return b.key, nil
}

func (b *Box) docs() store.Docs[wrapped] {
	return store.Docs[wrapped]{Store: b.Store, Prefix: store.DataKeysPrefix}
}

// unwrap opens the data key with this node's key.
func (b *Box) unwrap(w wrapped) (*dataKey, error) {
	node, err := readNodeKey(b.File)
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(node.public[:], w.Public) {
		return nil, octo.Errorf(octo.ErrUnavailable, "%s is not the key that the configuration of apps was sealed for (it is %s, that was %s)",
			b.File, fingerprint(node.public[:]), fingerprint(w.Public)).WithHint("%s", restore)
	}
	secret, ok := box.OpenAnonymous(nil, w.Sealed, &node.public, &node.private)
	if !ok || len(secret) != chacha20poly1305.KeySize {
		return nil, octo.Errorf(octo.ErrUnavailable, "the data key in the store cannot be opened with %s", b.File).WithHint("%s", restore)
	}
	return newDataKey([chacha20poly1305.KeySize]byte(secret)), nil
}

// restore is what to do when the key of a node is not there.
const restore = "bring the file back from a backup; if it is lost for good, see docs/config.md. What runs goes on meanwhile"

// begin makes the data key, if there is none in the whole store.
func (b *Box) begin(ctx context.Context) error {
	others, err := b.docs().All(ctx)
	if err != nil {
		return fmt.Errorf("list data keys: %w", err)
	}
	if len(others) > 0 {
		return octo.Errorf(octo.ErrUnavailable, "the data key is sealed for node %s, and not for this one, which is %s", others[0].Name, b.Node).
			WithHint("if this machine was renamed, give the node its name back (setting node)")
	}
	return b.make(ctx, store.Absent)
}

// renew gives up what was sealed, because the key of this node is lost and no other
// node has the data key.
func (b *Box) renew(ctx context.Context, lost store.Version) error {
	all, err := b.docs().All(ctx)
	if err != nil {
		return fmt.Errorf("list data keys: %w", err)
	}
	if len(all) > 1 {
		return octo.Errorf(octo.ErrUnavailable, "other nodes have the data key, so that nothing needs to be given up").WithHint("let one of them seal it for this node again")
	}
	return b.make(ctx, lost)
}

// make makes a data key, and seals it for this node in place of what was there.
func (b *Box) make(ctx context.Context, instead store.Version) error {
	node, err := ensureNodeKey(b.File)
	if err != nil {
		return err
	}
	var secret [chacha20poly1305.KeySize]byte
	_, _ = rand.Read(secret[:]) // never fails, by crypto/rand
	key := newDataKey(secret)
	sealed, err := box.SealAnonymous(nil, secret[:], &node.public, rand.Reader)
	if err != nil {
		return fmt.Errorf("seal data key: %w", err)
	}
	_, err = b.docs().Replace(ctx, b.Node, wrapped{ID: key.id[:], Public: node.public[:], Sealed: sealed}, instead)
	if err != nil && !errors.Is(err, octo.ErrConflict) { // somebody was faster: theirs holds
		return fmt.Errorf("write data key: %w", err)
	}
	return nil
}
