// Package store keeps versioned bytes under keys: compare-and-set, a watch on a
// prefix that always hands over the whole current truth, and keys held under a
// lease. Typed documents lie on top (Docs). Two implementations pass one contract
// suite: store/bolt for one machine, store/consul for a cluster.
package store

import (
	"context"
	"iter"
	"time"
)

// Version is the state of a key: it changes with every write of it, and never
// returns to an earlier value while the store lives. Only equality means anything.
type Version uint64

// What Put and Delete may expect of a key besides a version that was read.
const (
	// Absent expects that the key does not exist.
	Absent Version = 0
	// Any expects nothing: the write always happens.
	Any Version = 1<<64 - 1
)

// MaxValue is the largest value in bytes. Consul refuses more than 512 KiB.
const MaxValue = 512 << 10

// Entry is a key with its value and version.
type Entry struct {
	Key     string
	Value   []byte // must not be modified
	Version Version
}

// Store is the seam to the state of octohost. Keys are slash-separated, without a
// leading slash; prefixes end in a slash, or are empty for everything. All methods
// are safe for concurrent use. Errors are of kind octo.ErrNotFound,
// octo.ErrConflict, octo.ErrInvalid (bad key or prefix, value too large) or
// octo.ErrUnavailable (try later: no quorum, disk full, closed).
//
// A key held under a lease belongs to it: to Put and Delete it is ErrConflict.
//
// A write that returned nil survives a crash of the process and of the machine,
// except that of a key held under a lease, which lives as long as its lease.
type Store interface {
	// Get returns the entry of key, or ErrNotFound.
	Get(ctx context.Context, key string) (Entry, error)

	// List returns every entry below prefix, sorted by key; none is no error.
	List(ctx context.Context, prefix string) ([]Entry, error)

	// Put writes value if the key's version is as expected, and returns the new
	// version; otherwise ErrConflict.
	Put(ctx context.Context, key string, value []byte, expect Version) (Version, error)

	// Delete removes key if its version is as expected; otherwise ErrConflict, or
	// ErrNotFound if it is not there. With Any, an absent key is no error.
	Delete(ctx context.Context, key string, expect Version) error

	// Watch yields every entry below prefix, sorted by key, at once and again after
	// changes, the latest state only: states in between may be left out. An error is
	// yielded too; the watch then backs off and goes on by itself, unless prefix is
	// not valid or the store is closed. It ends when the loop is left or ctx is done.
	Watch(ctx context.Context, prefix string) iter.Seq2[[]Entry, error]

	// Lease starts a lease. It is kept alive until Close, or until it is lost: when
	// the store does not hear of this process for ttl.
	Lease(ctx context.Context, ttl time.Duration) (Lease, error)
}

// Lease holds keys that vanish with it.
type Lease interface {
	// Hold writes key under the lease: creates it, or overwrites it if this lease
	// already holds it. ErrConflict means that it exists otherwise, ErrUnavailable
	// that the lease is lost.
	Hold(ctx context.Context, key string, value []byte) error

	// Done is closed when the lease is lost or closed.
	Done() <-chan struct{}

	// Close gives the lease back; its keys vanish.
	Close() error
}
