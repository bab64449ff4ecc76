package git

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"sync"

	"github.com/octohost/octohost/internal/octo"
)

// push is a receive-pack under way, which a hook may speak for.
type push struct {
	id  string // secret: known to git and the hook only
	app octo.Name
	who octo.Identity

	began   chan struct{} // closed when its hook has come: the pack is stored
	settled chan struct{} // closed when it is known, and done, what becomes of it
	once    sync.Once
}

// settle says that nothing more is done about the push.
func (p *push) settle() { p.once.Do(func() { close(p.settled) }) }

// begun reports whether the pack of the push has been stored.
func (p *push) begun() bool {
	select {
	case <-p.began:
		return true
	default:
		return false
	}
}

// idLength is the length of a push's id: 128 random bits in hexadecimal.
const idLength = 32

// registry holds the pushes that hooks are expected from. The zero value is ready.
type registry struct {
	mu     sync.Mutex
	pushes map[*push]struct{}
}

func (g *registry) add(app octo.Name, who octo.Identity) *push {
	var id [idLength / 2]byte
	_, _ = rand.Read(id[:]) // never fails, by crypto/rand
	p := &push{
		id: hex.EncodeToString(id[:]), app: app, who: who,
		began: make(chan struct{}), settled: make(chan struct{}),
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.pushes == nil {
		g.pushes = map[*push]struct{}{}
	}
	g.pushes[p] = struct{}{}
	return p
}

func (g *registry) remove(p *push) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.pushes, p)
}

// claim returns the push of that id, once.
func (g *registry) claim(id string) (*push, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for p := range g.pushes {
		if subtle.ConstantTimeCompare([]byte(p.id), []byte(id)) == 1 && !p.begun() {
			close(p.began)
			return p, true
		}
	}
	return nil, false
}
