package daemon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/sshd"
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
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		found = true
		if err := d.admit(ctx, who, line); err != nil {
			return inLine(path, number, err)
		}
	}
	if !found {
		return octo.Errorf(octo.ErrInvalid, "%s has no key in it", path)
	}
	return nil
}

// admit admits the key of a line, unless it is admitted already, under whatever name.
func (d *Daemon) admit(ctx context.Context, who octo.Identity, line string) error {
	key, err := sshd.ParseAuthorizedKey(line)
	if err != nil {
		return err
	}
	if _, err := d.platform.Key(ctx, key.Fingerprint); err == nil || !errors.Is(err, octo.ErrNotFound) {
		return err
	}
	if key, err = d.platform.AddKey(ctx, who, octo.Admission{Line: line}); err != nil {
		return err
	}
	a := who.Audited(octo.AuditServe, "")
	a.Detail = map[string]string{"key": key.Fingerprint, "user": key.User, "admin": strconv.FormatBool(key.Admin)}
	d.trail.Record(a.Ended(nil))
	d.log.Info("key admitted", "user", key.User, "admin", key.Admin, "fingerprint", key.Fingerprint)
	return nil
}

// inLine says where in a file of keys something is wrong.
func inLine(path string, number int, err error) error {
	var e *octo.Error
	if !errors.As(err, &e) {
		return fmt.Errorf("%s: line %d: %w", path, number, err)
	}
	hint := e.Hint
	if hint == "" {
		hint = "write ann@laptop behind the key, or admit it by hand: octo keys:add FILE --user ann"
	}
	return octo.Errorf(e.Kind, "%s: line %d: %s", path, number, e.Message).WithHint("%s", hint)
}

// adviseKeys says how to let the first person in.
func (d *Daemon) adviseKeys(ctx context.Context) error {
	keys, err := d.allKeys(ctx)
	if err == nil && len(keys) == 0 {
		d.log.Warn("nobody is admitted yet: the SSH port opens with the first key; add it with: octo keys:add ~/.ssh/id_ed25519.pub")
	}
	return err
}

func (d *Daemon) allKeys(ctx context.Context) ([]octo.Key, error) {
	return d.platform.Keys(ctx, octo.Identity{User: "local", Admin: true})
}
