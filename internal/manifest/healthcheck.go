package manifest

import (
	"time"

	"github.com/octohost/octohost/internal/octo"
)

// Healthcheck is the HEALTHCHECK of an image. What is zero has Docker's default.
type Healthcheck struct {
	Command     []string      // argv
	Interval    time.Duration // between two checks
	Timeout     time.Duration // of one
	StartPeriod time.Duration // in which failures do not count
	Retries     int           // failures in a row until it is unhealthy
}

// Docker's defaults, https://docs.docker.com/reference/dockerfile/#healthcheck.
const (
	dockerInterval = 30 * time.Second
	dockerTimeout  = 30 * time.Second
	dockerRetries  = 3
)

// apply makes a check of it. Docker gives up on a container that starts after its start
// period and as many failures as there are retries; so do we, but not before the
// default. Until then it is asked more often than Docker would.
func (h *Healthcheck) apply(c *octo.Check) {
	c.Kind, c.Command = octo.CheckCmd, h.Command
	c.Retries = within(h.Retries, dockerRetries, 1, maxRetries)
	interval := within(h.Interval, dockerInterval, minTimeout, maxWait)
	c.Interval = octo.Duration(interval)
	c.Timeout = octo.Duration(within(h.Timeout, dockerTimeout, minTimeout, maxWait))
	patience := max(h.StartPeriod, 0) + time.Duration(c.Retries)*interval
	c.Deadline = octo.Duration(min(max(patience, octo.DefaultDeadline.Std()), maxWait))
}

// within returns v, or a default where it is 0, within bounds.
func within[T int | time.Duration](v, none, least, most T) T {
	if v == 0 {
		v = none
	}
	return min(max(v, least), most)
}
