package deploy

import (
	"context"
	"errors"

	"github.com/octohost/octohost/internal/manifest"
	"github.com/octohost/octohost/internal/octo"
)

// names reads which host names a commit asks for. It has its own look at the repository:
// whatever is wrong with that file is said, and is no reason to reject a push.
func (d *Deployer) names(ctx context.Context, p *printer, push octo.Push) []string {
	files, err := d.Source.Files(ctx, push.App, push.New, manifest.CNAME)
	if err != nil {
		p.warn("%s cannot be read: %v", manifest.CNAME, err)
		return nil
	}
	names, left := manifest.ParseCNAME(files[manifest.CNAME])
	if left > 0 {
		p.warn("%s: only the first %d names are looked at, %d are not", manifest.CNAME, len(names), left)
	}
	return names
}

// heed lets a release that is live have the names that it asks for, and says what became
// of them.
func (d *Deployer) heed(ctx context.Context, p *printer, r octo.Release) {
	if d.Pushed == nil || r.Names == nil {
		return
	}
	serves, refused, err := d.Pushed(ctx, r)
	if err != nil && ctx.Err() == nil {
		p.warn("%s could not be heeded, and will be later: %v", manifest.CNAME, err)
		d.Log.Warn("names of a release were not heeded", "app", r.App, "release", r.Number, "err", err)
	}
	for _, host := range serves {
		p.detail("Also at %s", host)
	}
	for _, err := range refused {
		var e *octo.Error
		if errors.As(err, &e) {
			err = octo.Errorf(e.Kind, "%s: %s", manifest.CNAME, e.Message).WithHint("%s", e.Hint)
		}
		p.failure(err)
	}
}
