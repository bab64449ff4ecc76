package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/octohost/octohost/internal/octo"
)

// authorize admits the keys of the file that the settings name, as far as they are
// not admitted yet. The first key of all becomes an admin.
func (d *Daemon) authorize(ctx context.Context) error {
	path := d.settings.Authorize
	if path == "" {
		return d.adviseKeys(ctx)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return octo.Errorf(octo.ErrInvalid, "cannot read the keys to admit: %v", err).WithHint("name a file of public keys with --authorize, for example ~/.ssh/id_ed25519.pub")
	}
	who := octo.Identity{User: "local", Admin: true}
	found := false
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		found = true
		key, err := d.platform.AddKey(ctx, who, "", false, line)
		if err != nil && !errors.Is(err, octo.ErrConflict) {
			return fmt.Errorf("%s: %w", path, err)
		}
		if err == nil {
			d.log.Info("key admitted", "user", key.User, "admin", key.Admin, "fingerprint", key.Fingerprint)
		}
	}
	if !found {
		return octo.Errorf(octo.ErrInvalid, "%s has no key in it", path)
	}
	return nil
}

// adviseKeys says how to let the first person in.
func (d *Daemon) adviseKeys(ctx context.Context) error {
	keys, err := d.platform.Keys(ctx)
	if err == nil && len(keys) == 0 {
		d.log.Warn("nobody is admitted yet: the SSH port opens with the first key; add it with: octo keys:add ~/.ssh/id_ed25519.pub")
	}
	return err
}
