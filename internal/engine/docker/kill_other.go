//go:build !linux

package docker

import (
	"errors"

	"github.com/octohost/octohost/internal/octo"
)

// kill cannot reach the processes of containers on other systems.
func kill(int, octo.SignalName) error { return errors.New("containers are elsewhere") }
