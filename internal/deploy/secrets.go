package deploy

import (
	"context"
	"crypto/sha256"
	"fmt"

	"github.com/octohost/octohost/internal/manifest"
	"github.com/octohost/octohost/internal/octo"
)

// secrets returns the build secrets that a commit names, as a configuration has them.
func (d *Deployer) secrets(ctx context.Context, app octo.Name, config int, m manifest.Manifest) (map[string][]byte, error) {
	if len(m.Build.Secrets) == 0 || d.Secrets == nil {
		return nil, nil
	}
	found, err := d.Secrets(ctx, app, config, m.Build.Secrets)
	if err != nil {
		return nil, err
	}
	for _, name := range m.Build.Secrets {
		if _, set := found[name]; !set {
			return nil, octo.Errorf(octo.ErrInvalid, "octohost.toml names the build secret %s, which is not set", name).
				WithHint("octo config:set %s=- -a %s --no-restart < FILE; then push again", name, app)
		}
	}
	return found, nil
}

// scope is what the builds of an app share caches under: not with an app that had its
// name before.
func scope(host string, app octo.App) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %d", host, app.Name, app.Created.UnixNano()))
	return fmt.Sprintf("%s-%x", app.Name, sum[:8])
}
