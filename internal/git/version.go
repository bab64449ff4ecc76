package git

import (
	"context"
	"fmt"
	"os/exec"
	"strings"

	"github.com/octohost/octohost/internal/octo"
)

// release is a version of git, as far as it matters here.
type release struct{ major, minor int }

// oldest is the first git that has the proc-receive hook.
func oldest() release { return release{2, 29} }

func (v release) before(o release) bool {
	return v.major < o.major || v.major == o.major && v.minor < o.minor
}

// Version returns the version of the system's git. ErrUnavailable means that there
// is none, or that it is too old for octohost; the message says what to install.
func Version(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "git", "version").Output()
	if err != nil {
		return "", octo.Errorf(octo.ErrUnavailable, "git does not run: %v", err).WithHint("install it with: apt-get install git")
	}
	text := strings.TrimPrefix(strings.TrimSpace(string(out)), "git version ")
	v, err := parseVersion(text)
	if err != nil {
		return text, err
	}
	if v.before(oldest()) {
		return text, octo.Errorf(octo.ErrUnavailable, "git %s is too old: octohost needs 2.29 or newer", text).
			WithHint("install a newer one, for example from Debian's backports")
	}
	return text, nil
}

func parseVersion(text string) (release, error) {
	var v release
	if _, err := fmt.Sscanf(text, "%d.%d", &v.major, &v.minor); err != nil {
		return v, octo.Errorf(octo.ErrUnavailable, "git says that it is version %q, which cannot be understood", text)
	}
	return v, nil
}
