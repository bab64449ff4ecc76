package docker

import (
	"context"
	"encoding/json"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/client"

	"github.com/octohost/octohost/internal/octo"
)

// Memory returns the working set of a container in bytes: what it uses, without
// the file cache that the kernel may drop at any time. ErrNotFound if there is no
// such container, ErrConflict if it does not run.
func (e *Engine) Memory(ctx context.Context, id string) (int64, error) {
	result, err := e.client.ContainerStats(ctx, id, client.ContainerStatsOptions{})
	if err != nil {
		return 0, e.fail(err, "measure container")
	}
	defer result.Body.Close() //nolint:errcheck // nothing is written
	var stats container.StatsResponse
	if err := json.NewDecoder(result.Body).Decode(&stats); err != nil {
		return 0, e.fail(err, "measure container")
	}
	if stats.MemoryStats.Usage == 0 {
		return 0, octo.Errorf(octo.ErrConflict, "measure container: it does not run")
	}
	return workingSet(stats.MemoryStats), nil
}

// workingSet takes the inactive file cache off, which is named total_inactive_file
// under cgroup v1 and inactive_file under v2. (v1 has the short name too, without
// the children.)
func workingSet(m container.MemoryStats) int64 {
	cache, ok := m.Stats["total_inactive_file"]
	if !ok {
		cache = m.Stats["inactive_file"]
	}
	if cache > m.Usage {
		return 0
	}
	return int64(m.Usage - cache) //nolint:gosec // far below 2^63
}
