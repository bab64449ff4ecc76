package cli

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/octohost/octohost/internal/octo"
)

// TestMain lets the test binary play octo itself, and the ssh that it runs.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"octo":     func() { os.Exit(Main(os.Args[1:], scriptEnv())) },
		"pipe-ssh": func() { os.Exit(pipeSSH(os.Args[1:])) },
	})
}

// scriptEnv is the Env of octo as a process of the scripts.
func scriptEnv() Env { return lookable(System("v1.2.3")) }

// lookable puts parts into env that a script can look at: a clock, a terminal, and
// what stands for a daemon and a browser.
func lookable(env Env) Env {
	if now, err := time.Parse(time.RFC3339Nano, env.Getenv("TEST_NOW")); err == nil {
		env.Now = func() time.Time { return now }
	}
	terminal := env.Getenv("TEST_TERMINAL") != ""
	env.InTerminal, env.OutTerminal = terminal, terminal
	env.OpenBrowser = func(_ context.Context, url string) error {
		_, err := fmt.Fprintln(env.Err, "BROWSER", url)
		return err
	}
	env.Serve = func(_ context.Context, flags ServeFlags) error {
		_, err := fmt.Fprintf(env.Out, "%+v\n", flags)
		return err
	}
	env.Hook = func(_ context.Context, args []string, stdio Stdio) int {
		text, _ := io.ReadAll(stdio.In) // it comes from the script
		_, _ = fmt.Fprintf(stdio.Out, "%q %q\n", args, text)
		return len(args)
	}
	env.Doctor = nil
	env.Socket = func(f ServeFlags) (string, error) { return filepath.Join(f.Data, "octo.sock"), nil }
	if env.Getenv("TEST_DOCTOR") != "" {
		env.Doctor = func(_ context.Context, f ServeFlags) []octo.Finding {
			return []octo.Finding{{Check: "daemon", Level: octo.FindingProblem, Message: "octo serve is not running" + f.Data + f.Config}}
		}
	}
	return env
}

// pipeSSH plays ssh: it prints its arguments to a file, and leads to the socket of
// an octohost, or fails in one of the ways of ssh, by the host's name.
func pipeSSH(args []string) int {
	if log := os.Getenv("TEST_SSH_LOG"); log != "" {
		_ = os.WriteFile(log, []byte(strings.Join(args, " ")+"\n"), 0o600) // the script looks for it
	}
	fails := map[string]string{
		"octo@denied":  "octo@denied: Permission denied (publickey).",
		"octo@changed": "Host key verification failed.",
		"octo@missing": "ssh: Could not resolve hostname missing: Name or service not known",
		"octo@closed":  "ssh: connect to host closed port 22: Connection refused",
		"octo@silent":  "ssh: connect to host silent port 22: Connection timed out",
		"octo@other":   "bash: line 1: octo-api: command not found",
		"octo@strange": "something else",
	}
	if text, fail := fails[args[len(args)-2]]; fail {
		fmt.Fprintln(os.Stderr, text)
		return 255
	}
	conn, err := net.Dial("unix", os.Getenv("TEST_SSH_SOCKET"))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 255
	}
	go func() { // ends with the process
		_, _ = io.Copy(conn, os.Stdin)        // ends with stdin
		_ = conn.(*net.UnixConn).CloseWrite() // the other side may be gone
	}()
	_, _ = io.Copy(os.Stdout, conn) // ends with the connection
	return 0
}
