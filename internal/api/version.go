package api

import (
	"strconv"
	"strings"

	"github.com/octohost/octohost/internal/octo"
)

// versionHeader carries the version of octo, both ways.
const versionHeader = "Octo-Version"

// checkVersion refuses a client whose major version is another one: it would
// misunderstand what it gets. Versions that are not releases are let through.
func checkVersion(server, client string) error {
	s, knownS := major(server)
	c, knownC := major(client)
	if !knownS || !knownC || s == c {
		return nil
	}
	return octo.Errorf(octo.ErrInvalid, "this octo is version %.40s, but octohost here runs %s", client, server).
		WithHint("install octo %s, or use: ssh octo@HOST help", server)
}

// major returns the first number of a released version such as v1.2.3.
func major(version string) (int, bool) {
	version = strings.TrimPrefix(version, "v")
	if strings.HasPrefix(version, "0.0.0-") { // built from a commit that has no version
		return 0, false
	}
	first, _, _ := strings.Cut(version, ".")
	n, err := strconv.Atoi(first)
	return n, err == nil && n >= 0
}
