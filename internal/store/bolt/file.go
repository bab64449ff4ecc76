package bolt

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

// The file is two buckets: entries (key → version in 8 bytes, big endian, and the
// value) and meta (format, and the reservation of versions, both in 8 bytes).
const (
	entriesBucket = "entries"
	metaBucket    = "meta"
	formatKey     = "format"
	limitKey      = "limit"
)

// format is the layout of the file that this program writes, and the newest that it
// can read.
const format = 1

// lockTimeout is how long Open waits for another process to let go of the file.
const lockTimeout = time.Second

// Open opens the store in the file at path, and creates it, readable by this user
// only, if there is none. The error is ErrUnavailable: another process uses it, it
// is damaged, or the disk refuses. A damaged file is left as it is.
func Open(path string) (*Store, error) {
	if err := create(path); err != nil {
		return nil, unavailable(path, "create", err)
	}
	db, err := open(path)
	if err != nil {
		return nil, err
	}
	s := &Store{
		db: db, path: path, done: make(chan struct{}),
		watchers: map[*watcher]struct{}{}, leases: map[*lease]struct{}{},
	}
	if err := guard(func() error { return db.View(s.load) }); err != nil {
		return nil, errors.Join(damaged(path, err), db.Close())
	}
	return s, nil
}

// open opens the bbolt file at path, which exists.
func open(path string) (db *bbolt.DB, err error) {
	err = guard(func() error {
		db, err = bbolt.Open(path, 0o600, &bbolt.Options{
			Timeout:      lockTimeout,
			FreelistType: bbolt.FreelistMapType,
			OpenFile:     openExisting,
		})
		return err
	})
	var refused *fs.PathError
	switch {
	case err == nil:
		return db, nil
	case errors.Is(err, bolterrors.ErrTimeout):
		return nil, octo.Errorf(octo.ErrUnavailable, "another octo uses %s", path).
			WithHint("stop it first, or give this one a data directory of its own with --data")
	case errors.As(err, &refused):
		return nil, unavailable(path, "open", err)
	}
	return nil, damaged(path, err)
}

// openExisting never creates a file, and takes an empty one for a damaged one: bbolt
// would begin anew in it, as if nothing had ever been stored.
func openExisting(path string, flag int, mode os.FileMode) (*os.File, error) {
	f, err := os.OpenFile(path, flag&^os.O_CREATE, mode)
	if err != nil {
		return nil, err
	}
	if info, err := f.Stat(); err != nil || info.Size() == 0 {
		return nil, errors.Join(err, errors.New("the file is empty"), f.Close())
	}
	return f, nil
}

// create makes an empty store at path, whole or not at all, unless there is a file.
func create(path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".new-store-")
	if err != nil {
		return err
	}
	draft := filepath.Join(dir, "store")
	err = writeEmpty(draft)
	if err == nil {
		// Unlike a rename, a link does not replace what somebody else just made.
		if err = os.Link(draft, path); errors.Is(err, fs.ErrExist) {
			err = nil
		}
	}
	return errors.Join(err, os.RemoveAll(dir), syncDir(filepath.Dir(path)))
}

func writeEmpty(path string) error {
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket([]byte(entriesBucket))
		if err != nil {
			return err
		}
		meta, err := tx.CreateBucket([]byte(metaBucket))
		if err != nil {
			return err
		}
		return errors.Join(meta.Put([]byte(formatKey), number(format)), meta.Put([]byte(limitKey), number(0)))
	})
	return errors.Join(err, db.Close())
}

// syncDir makes the names in a directory durable.
func syncDir(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

// load reads everything, and thereby checks every page that a read may need.
func (s *Store) load(tx *bbolt.Tx) error {
	meta, entries := tx.Bucket([]byte(metaBucket)), tx.Bucket([]byte(entriesBucket))
	if meta == nil || entries == nil {
		return errors.New("it is not a store of octohost")
	}
	f, okFormat := parseNumber(meta.Get([]byte(formatKey)))
	limit, okLimit := parseNumber(meta.Get([]byte(limitKey)))
	if !okFormat || !okLimit {
		return errors.New("its head is not readable")
	}
	if f > format {
		return octo.Errorf(octo.ErrUnavailable, "the store %s was written by a newer octo (format %d; this one knows %d)", s.path, f, format).
			WithHint("run that octo, or a newer one")
	}
	s.next, s.limit = store.Version(limit), store.Version(limit)
	return entries.ForEach(s.loadEntry)
}

func (s *Store) loadEntry(key, value []byte) error {
	version, ok := parseNumber(value[:min(8, len(value))])
	if !ok || version == 0 || version > uint64(s.limit) {
		return fmt.Errorf("entry %q is not readable", key)
	}
	if n := len(s.table.items); n > 0 && s.table.items[n-1].Key >= string(key) {
		return fmt.Errorf("entry %q is out of order", key)
	}
	entry := store.Entry{Key: string(key), Value: bytes.Clone(value[8:]), Version: store.Version(version)}
	s.table.items = append(s.table.items, item{Entry: entry})
	return nil
}

// persist makes changes and a reservation durable, or nothing of them; s.writing is
// held.
func (s *Store) persist(changes map[string]item, limit store.Version) error {
	err := s.db.Update(func(tx *bbolt.Tx) error {
		entries := tx.Bucket([]byte(entriesBucket))
		for key, it := range changes {
			if err := persistItem(entries, key, it); err != nil {
				return err
			}
		}
		return tx.Bucket([]byte(metaBucket)).Put([]byte(limitKey), number(uint64(limit)))
	})
	if err != nil {
		return s.refused(err)
	}
	return nil
}

// refused explains why a commit failed. When the disk is full nothing has happened,
// and the next write may succeed. After any other failure it is uncertain what the
// disk holds, and going on could overwrite what an older state still needs: until a
// restart has read it again there are no more writes.
func (s *Store) refused(err error) error {
	if noSpace(err) {
		return unavailable(s.path, "write", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = octo.Errorf(octo.ErrUnavailable, "write store %s: %v", s.path, err).
		WithHint("look after the disk (dmesg, smartctl), then restart octo; until then it stores nothing, and what runs keeps running")
	return s.broken
}

func persistItem(entries *bbolt.Bucket, key string, it item) error {
	if it.Version == store.Absent {
		return entries.Delete([]byte(key))
	}
	return entries.Put([]byte(key), append(number(uint64(it.Version)), it.Value...))
}

func number(n uint64) []byte { return binary.BigEndian.AppendUint64(nil, n) }

func parseNumber(b []byte) (uint64, bool) {
	if len(b) != 8 {
		return 0, false
	}
	return binary.BigEndian.Uint64(b), true
}

// guard runs f, and turns what bbolt does with a damaged file into an error: it
// panics, or reads beyond the end of the file.
func guard(f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	return f()
}

// damaged explains a file that cannot be read.
func damaged(path string, err error) error {
	if errors.Is(err, octo.ErrUnavailable) {
		return err
	}
	return octo.Errorf(octo.ErrUnavailable, "the store %s is damaged: %v", path, err).
		WithHint("octo has not changed it; put a backup in its place, or move it away to begin anew")
}

// unavailable explains what the disk refused.
func unavailable(path, verb string, err error) error {
	e := octo.Errorf(octo.ErrUnavailable, "%s store %s: %v", verb, path, err)
	if noSpace(err) {
		return e.WithHint("free some space on the disk that %s is on", filepath.Dir(path))
	}
	return e
}

// noSpace reports whether a write was refused because the disk is full. The same
// error from a sync does not count: what it was about is lost, not refused.
func noSpace(err error) bool {
	var refused *fs.PathError
	if errors.As(err, &refused) {
		return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
	}
	// bbolt keeps only the text when it cannot make its file longer.
	return strings.HasPrefix(err.Error(), "file resize error") && strings.HasSuffix(err.Error(), syscall.ENOSPC.Error())
}
