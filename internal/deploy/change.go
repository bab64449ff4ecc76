package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

// Change changes the settings of an app. Where the app has a release, that makes a
// new one of the same code, which is followed to its end.
func (d *Deployer) Change(ctx context.Context, c octo.Change, out io.Writer) error {
	p := newPrinter(out)
	release, made, err := d.changed(ctx, p, c)
	if err != nil || !made {
		return err
	}
	return d.launch(ctx, p, release)
}

// changed makes the release of a change, with its image held until then.
func (d *Deployer) changed(ctx context.Context, p *printer, c octo.Change) (octo.Release, bool, error) {
	d.busy.RLock()
	defer d.busy.RUnlock()
	app, err := d.apps().Get(ctx, string(c.App))
	if err != nil {
		return octo.Release{}, false, missing(c.App, err)
	}
	if c.Stage || app.Value.Release == 0 {
		return octo.Release{}, false, d.stage(ctx, p, c)
	}
	release, err := d.variant(ctx, p, app.Value, c)
	if errors.Is(err, errSame) {
		p.detail("Nothing to change")
		return release, false, nil
	}
	return release, err == nil, err
}

// errSame says that a change would change nothing.
var errSame = errors.New("nothing to change")

// variant makes a release of the code that app wants, with other settings.
func (d *Deployer) variant(ctx context.Context, p *printer, app octo.App, c octo.Change) (octo.Release, error) {
	base, err := d.releases().Get(ctx, store.ReleaseName(app.Name, app.Release))
	if err != nil {
		return base.Value, fmt.Errorf("read release: %w", err)
	}
	next := anew(base.Value, c.Who, c.Description)
	var seen *octo.Settings // those that the edit was made on
	settle := func(app octo.App, r *octo.Release) error {
		if seen != nil && seen.Equal(app.Settings) {
			return nil
		}
		settings, err := c.Edit(ctx, app)
		if err != nil {
			return err
		}
		if settings.Equal(app.Settings) && settings.Equal(base.Value.Settings) {
			return errSame
		}
		seen, r.Settings = &app.Settings, settings
		return nil
	}
	if err := settle(app, &next); err != nil {
		return next, err
	}
	p.step("%s: %s", app.Name, c.Description)
	if err := d.tasks(ctx, p, next); err != nil {
		return next, err
	}
	return d.release(ctx, next, settle)
}

// anew returns a release that was made again, by who.
func anew(r octo.Release, who octo.Identity, description string) octo.Release {
	r.Author, r.Description = who.User, description
	r.Outcome, r.Failure, r.Settled = octo.Pending, nil, time.Time{}
	r.Names = nil // they change with a push only
	return r
}

// stage writes the settings for the next release.
func (d *Deployer) stage(ctx context.Context, p *printer, c octo.Change) error {
	var same bool
	app, err := d.apps().Update(ctx, string(c.App), func(a *octo.App) error {
		if a.Destroying {
			return octo.NoSuchApp(c.App)
		}
		settings, err := c.Edit(ctx, *a)
		if err != nil {
			return err
		}
		if same = settings.Equal(a.Settings); same {
			return store.ErrUnchanged
		}
		a.Settings = settings
		return nil
	})
	if err != nil {
		return missing(c.App, err)
	}
	if same {
		p.detail("Nothing to change")
		return nil
	}
	d.Record(octo.Event{Kind: octo.EventAppChanged, App: c.App, User: c.Who.User, Message: c.Description + ", for the next release"})
	if app.Release == 0 {
		p.step("%s: kept for its first release", c.Description)
	} else {
		p.step("%s: kept for the next release", c.Description)
	}
	return nil
}

// tasks runs what must succeed before a release is wanted, unless what is live is the
// same code with the same configuration.
func (d *Deployer) tasks(ctx context.Context, p *printer, r octo.Release) error {
	if len(r.Tasks) == 0 {
		return nil
	}
	app, err := d.apps().Get(ctx, string(r.App))
	if err != nil {
		return missing(r.App, err)
	}
	live, err := d.releases().Get(ctx, store.ReleaseName(r.App, app.Value.Live))
	if err != nil && !errors.Is(err, octo.ErrNotFound) {
		return fmt.Errorf("read release: %w", err)
	}
	if live.Value.Image == r.Image && live.Value.Config == r.Config {
		return nil
	}
	for _, t := range r.Tasks {
		if t.First && app.Value.Live > 0 {
			continue
		}
		if err := d.task(ctx, p, r, t); err != nil {
			return err
		}
	}
	return nil
}

func (d *Deployer) task(ctx context.Context, p *printer, r octo.Release, t octo.Task) error {
	p.step("Running %s: %s", t.Name, strings.Join(t.Command, " "))
	lines := p.lines()
	code, err := d.Runner.RunTask(ctx, r, t, lines)
	lines.flush()
	if err != nil {
		return fmt.Errorf("run %s: %w", t.Name, err)
	}
	if code != 0 {
		return octo.Errorf(octo.ErrInvalid, "%s ended with exit code %d, so nothing is released", t.Name, code).
			WithHint("what it printed is above")
	}
	return nil
}
