package daemon

import (
	"context"
	"path/filepath"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/logs"
	"github.com/octohost/octohost/internal/octo"
)

// logsDir is where the logs of apps are.
func logsDir(s Settings) string { return filepath.Join(s.Data, "logs") }

func (d *Daemon) buildLogs() {
	d.logs = logs.NewArchive(logs.ArchiveConfig{
		Dir: logsDir(d.settings), Max: int64(d.settings.Logs.Size), Full: d.cramped, Log: d.log,
	})
}

// lastWords takes what a container has printed that is about to be removed.
func (d *Daemon) lastWords(ctx context.Context, box engine.Container) error {
	return d.prints.Finish(ctx, box)
}

// cramped reports whether so little is free on the disk of our data that logs must not
// grow.
func (d *Daemon) cramped() bool {
	free, err := freeBytes(d.settings.Data)
	return err == nil && free < d.settings.DiskFloor
}

// record takes note of an event, also in the log of the app that it is about. It does
// not wait.
func (d *Daemon) record(e octo.Event) {
	d.journal.Record(e)
	d.logs.Event(e)
}

// checkLogs says how much the logs of apps take, and whether they may take more than
// there is. They stop growing at the floor of the disk, so this is never a problem.
func checkLogs(_ context.Context, p *patient) octo.Finding {
	used, err := logs.UsageOf(logsDir(p.settings))
	if err != nil {
		return warning("", "%v", err)
	}
	now, most := octo.Size(used.Bytes), octo.Size(used.Apps)*p.settings.Logs.Size
	free, err := freeBytes(p.settings.Data)
	if err == nil && most-now > free-p.settings.DiskFloor {
		return warning("lower logs.size in octo.toml, or add disk",
			"the logs of %d apps take %s and may take %s, but %s are free: they will stop growing at disk_floor", used.Apps, now, most, free)
	}
	return fine("the logs of %d apps take %s of at most %s", used.Apps, now, most)
}
