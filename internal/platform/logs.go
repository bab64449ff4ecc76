package platform

import (
	"context"
	"iter"

	"github.com/octohost/octohost/internal/octo"
)

// DefaultTail is how many events are shown when nobody says.
const DefaultTail = 100

// Archive keeps the logs of apps.
type Archive interface {
	Read(ctx context.Context, app octo.Name, q octo.LogQuery) iter.Seq2[octo.LogLine, error]
}

// Logs yields lines of an app's log, oldest first. With Follow it goes on, across
// restarts and releases, until ctx is done or the app is gone.
func (p *Platform) Logs(ctx context.Context, app octo.Name, q octo.LogQuery) iter.Seq2[octo.LogLine, error] {
	if err := q.Check(); err != nil {
		return func(yield func(octo.LogLine, error) bool) { yield(octo.LogLine{}, err) }
	}
	return p.Archive.Read(ctx, app, q)
}
