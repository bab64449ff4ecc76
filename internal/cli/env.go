package cli

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"runtime/debug"
	"time"

	"golang.org/x/term"

	"github.com/octohost/octohost/internal/octo"
)

// Stdio is where a command reads and writes.
type Stdio struct {
	In       io.Reader
	Out, Err io.Writer

	// InTerminal and OutTerminal report whether a person sits there, who can be
	// asked, or who sees colours.
	InTerminal, OutTerminal bool

	// Console is where the person sits, so that a program can take it over; nil where
	// there is nobody.
	Console octo.Console
}

// Env is all that a command line may know of the machine that it runs on. What is
// nil is not available.
type Env struct {
	Stdio

	Version   string
	Getenv    func(string) string
	Dir       string // the working directory, for git remotes
	Home      string // for the default SSH key
	ConfigDir string // where remote:add remembers
	Now       func() time.Time

	// Serve runs the daemon until ctx ends.
	Serve func(ctx context.Context, flags ServeFlags) error
	// Hook is what git runs during a push. It returns the exit code.
	Hook func(ctx context.Context, args []string, stdio Stdio) int
	// Doctor looks at this machine when no daemon answers that was started with flags.
	Doctor func(ctx context.Context, flags ServeFlags) []octo.Finding
	// Socket returns where a daemon listens that was started with flags.
	Socket func(flags ServeFlags) (string, error)
	// Shield starts a process so that Ctrl-C does not end it; nil just starts it.
	Shield func(start func() (net.Conn, error)) (net.Conn, error)
	// OpenBrowser shows a URL to the person; nil where there is no browser.
	OpenBrowser func(ctx context.Context, url string) error
}

// ServeFlags are the flags of octo serve that were given; the others are empty.
type ServeFlags struct {
	Data, HTTP, SSH, Domain, Authorize, Config string
}

// System returns the Env of this process, without a daemon. An empty version means
// what the Go toolchain has recorded.
func System(version string) Env {
	if info, ok := debug.ReadBuildInfo(); version == "" && ok {
		version = info.Main.Version
	}
	home, _ := os.UserHomeDir() // without one, nothing is read from there
	dir, _ := os.Getwd()        // without one, there is no git remote
	config, err := os.UserConfigDir()
	if err == nil {
		config = filepath.Join(config, "octohost")
	}
	return withDaemon(Env{
		Stdio: Stdio{
			In: os.Stdin, Out: os.Stdout, Err: os.Stderr,
			InTerminal: isTerminal(os.Stdin), OutTerminal: isTerminal(os.Stdout),
		},
		Version: version, Getenv: os.Getenv, Dir: dir, Home: home, ConfigDir: config, Now: time.Now,
		OpenBrowser: browser(os.Getenv),
	})
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// Main runs the command line of this process with env, and returns the exit code.
// The first interrupt asks the command to end, a second one kills it.
func Main(args []string, env Env) int {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	board := newSwitchboard(cancel)
	defer board.stop()
	if env.Console == nil {
		env.Console = &terminal{in: os.Stdin, out: os.Stdout, kind: env.Getenv("TERM"), board: board}
		env.Shield = board.shield
	}
	return Run(ctx, args, env)
}
