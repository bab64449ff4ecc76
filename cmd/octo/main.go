// Command octo is octohost: the daemon, and its command line.
package main

import (
	"os"

	"github.com/octohost/octohost/internal/cli"
)

// version is set by the linker, in make build.
var version string

func main() { os.Exit(cli.Main(os.Args[1:], cli.System(version))) }
