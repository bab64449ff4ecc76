package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/BurntSushi/toml"

	"github.com/octohost/octohost/internal/octo"
)

// remotes are the octohosts that a person remembers by name.
type remotes struct {
	Default string            `toml:"default"` // empty when there is none
	Remotes map[string]string `toml:"remotes"` // name → ssh://…
}

// remotesFile is where they are kept, in Env.ConfigDir.
const remotesFile = "remotes.toml"

// names returns the names in order.
func (r remotes) names() []string { return slices.Sorted(maps.Keys(r.Remotes)) }

// remotes reads what is remembered, which may be nothing.
func (s *session) remotes() (remotes, error) {
	r := remotes{Remotes: map[string]string{}}
	if s.inProcess || s.env.ConfigDir == "" {
		return r, nil
	}
	path := filepath.Join(s.env.ConfigDir, remotesFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, fmt.Errorf("read remembered remotes: %w", err)
	}
	meta, err := toml.Decode(string(text), &r)
	if unknown := meta.Undecoded(); err == nil && len(unknown) > 0 {
		err = fmt.Errorf("unknown key %s", unknown[0])
	}
	if err != nil {
		return r, octo.Errorf(octo.ErrInvalid, "%s cannot be read: %v", path, err).WithHint("mend or remove that file")
	}
	return r, nil
}

// saveRemotes replaces what is remembered: all of it or, on an error, nothing.
func (s *session) saveRemotes(r remotes) error {
	if s.env.ConfigDir == "" {
		return octo.Errorf(octo.ErrUnavailable, "there is no place to remember remotes").WithHint("set HOME or XDG_CONFIG_HOME")
	}
	var text bytes.Buffer
	if err := toml.NewEncoder(&text).Encode(r); err != nil {
		return fmt.Errorf("encode remotes: %w", err)
	}
	if err := os.MkdirAll(s.env.ConfigDir, 0o700); err != nil {
		return fmt.Errorf("remember remote: %w", err)
	}
	f, err := os.CreateTemp(s.env.ConfigDir, remotesFile+".*")
	if err != nil {
		return fmt.Errorf("remember remote: %w", err)
	}
	defer os.Remove(f.Name()) //nolint:errcheck // it is gone when all went well
	_, err = f.Write(text.Bytes())
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(s.env.ConfigDir, remotesFile))
	}
	if err != nil {
		return fmt.Errorf("remember remote: %w", err)
	}
	return nil
}
