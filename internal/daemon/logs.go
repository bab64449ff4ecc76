package daemon

import (
	"path/filepath"

	"github.com/octohost/octohost/internal/logs"
	"github.com/octohost/octohost/internal/octo"
)

// logsDir is where the logs of apps are.
func logsDir(s Settings) string { return filepath.Join(s.Data, "logs") }

func (d *Daemon) buildLogs() {
	d.logs = logs.NewArchive(logs.ArchiveConfig{
		Dir: logsDir(d.settings), Max: int64(d.settings.Logs.MaxSize), Full: d.cramped, Log: d.log,
	})
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
