package cli

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"

	"github.com/octohost/octohost/internal/api"
	"github.com/octohost/octohost/internal/api/apitest"
	"github.com/octohost/octohost/internal/octo"
)

// began is when everything happened in the scripts, whose clock shows five minutes
// later.
var began = time.Date(2026, 11, 22, 17, 20, 1, 123456000, time.UTC)

// TestScripts runs the stories in testdata: each has an octohost of its own.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:   filepath.Join("testdata", "script"),
		Setup: setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"code": code, "create": create, "deploy": deploy, "fail": fail, "print": printLines, "say": say, "find": find, "litter": litter,
			"instance": instance, "over-ssh": overSSH, "key": key, "followers": followers, "await": await,
		},
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
	})
}

// hurry spares every process the second that the race detector waits at its end.
const hurry = "atexit_sleep_ms=0"

// worldKey is where a script's octohost is found.
type worldKey struct{}

// setup starts an octohost for a script.
func setup(env *testscript.Env) error {
	w := apitest.New()
	w.Now = func() time.Time { return began }
	env.Values[worldKey{}] = w
	socket := filepath.Join(env.WorkDir, "octo.sock")
	home := filepath.Join(env.WorkDir, "home")
	for name, value := range map[string]string{
		"OCTO_SOCKET": socket, "HOME": home, "TEST_NOW": began.Add(5 * time.Minute).Format(time.RFC3339Nano),
		"OCTO_SSH_PROGRAM": "pipe-ssh", "TEST_SSH_SOCKET": socket, "TEST_SSH_LOG": filepath.Join(env.WorkDir, "ssh.log"),
		"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CEILING_DIRECTORIES": filepath.Dir(env.WorkDir), "GORACE": hurry,
	} {
		env.Setenv(name, value)
	}
	stop, err := serveWorld(w, socket)
	if err != nil {
		return err
	}
	env.Defer(stop)
	return nil
}

// serveWorld answers for w on a socket until the function that it returns is called.
func serveWorld(w *apitest.World, socket string) (stop func(), err error) {
	l, err := api.ListenLocal(socket)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- api.NewServer(w.Config()).ServeLocal(ctx, l) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			panic(err)
		}
	}, nil
}

func world(ts *testscript.TestScript) *apitest.World { return ts.Value(worldKey{}).(*apitest.World) }

// code runs a command that must end with a certain exit code. Octo runs in this
// process, so that hundreds of calls take no time: code 3 octo [<FILE] …
func code(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: code N command…")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	if args[1] == "octo" {
		got = octoHere(ts, args[2:])
	} else {
		err := ts.Exec(args[1], args[2:]...)
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			got = exit.ExitCode()
		} else {
			ts.Check(err)
		}
	}
	if got != want {
		ts.Fatalf("exit code %d, want %d", got, want)
	}
}

// octoHere runs octo in this process.
func octoHere(ts *testscript.TestScript, args []string) int {
	stdin := strings.NewReader("")
	if len(args) > 0 && strings.HasPrefix(args[0], "<") {
		stdin, args = strings.NewReader(ts.ReadFile(args[0][1:])), args[1:]
	}
	home := ts.Getenv("HOME")
	env := Env{
		Stdio: Stdio{In: stdin, Out: ts.Stdout(), Err: ts.Stderr()}, Version: "v1.2.3", Getenv: ts.Getenv,
		Dir: ts.MkAbs("."), Home: home, ConfigDir: filepath.Join(home, ".config", "octohost"),
	}
	return Run(context.Background(), args, lookable(env))
}

// create makes apps: create OWNER APP…
func create(ts *testscript.TestScript, _ bool, args []string) {
	for _, app := range args[1:] {
		_, err := world(ts).CreateApp(context.Background(), octo.Identity{User: args[0]}, octo.Name(app))
		ts.Check(err)
	}
}

// deploy puts releases live: deploy APP COMMIT…
func deploy(ts *testscript.TestScript, _ bool, args []string) {
	for _, commit := range args[1:] {
		world(ts).Deploy(octo.Name(args[0]), commit, "alice")
	}
}

// fail makes a release that is never healthy: fail APP
func fail(ts *testscript.TestScript, _ bool, args []string) {
	world(ts).Fail(octo.Name(args[0]), octo.Failure{
		Kind: octo.FailedPort, Message: "nothing listens on port 5000", Hint: "listen on $PORT",
		Transcript: []string{"0.1s connect: refused"}, Logs: []string{"starting\x1b]0;evil\a", "listening on 3000"},
	})
}

// printLines lets an app print: print APP LINE…
func printLines(ts *testscript.TestScript, _ bool, args []string) {
	for _, line := range args[1:] {
		text, err := strconv.Unquote(`"` + line + `"`)
		ts.Check(err)
		world(ts).Print(octo.Name(args[0]), text)
	}
}

// say lets somebody else speak in an app's log: say APP router|EVENT TEXT.
func say(ts *testscript.TestScript, _ bool, args []string) {
	line := octo.LogLine{App: octo.Name(args[0]), Source: octo.LogOctohost, Release: 1, Event: octo.EventKind(args[1]), Text: args[2]}
	if args[1] == "router" {
		line.Source, line.Event = octo.LogRouter, ""
	}
	world(ts).Say(line)
}

// find sets what the doctor finds: find LEVEL…
func find(ts *testscript.TestScript, _ bool, args []string) {
	for _, level := range args {
		world(ts).Find(octo.Finding{
			Check: "disk", Level: octo.FindingLevel(level), Message: "it is " + level, Remedy: "mend it", Took: time.Millisecond,
		})
	}
}

// litter leaves garbage lying around.
func litter(ts *testscript.TestScript, _ bool, _ []string) {
	world(ts).Litter(
		octo.Garbage{Kind: octo.GarbageImage, App: "hello", Name: "hello:1a2b3c4", Bytes: 1 << 30, Why: "not among the last 5"},
		octo.Garbage{Kind: octo.GarbageImage, App: "hello", Name: "hello:5a6b7c8", Bytes: 1 << 30, Error: "a container uses it"},
		octo.Garbage{Kind: octo.GarbageReleases, App: "hello", Name: "v1 to v12", Why: "not among the last 500"},
	)
}

// instance makes an app's instances failed, unhealthy and draining: instance APP
func instance(ts *testscript.TestScript, _ bool, args []string) {
	app := octo.Name(args[0])
	one := func(n int, phase octo.Phase, restarts int, why *octo.Failure, note string) octo.Instance {
		return octo.Instance{
			ID: octo.NewInstanceID(app, "worker", 4, n), App: app, Release: 4, Process: "worker", Phase: phase,
			Since: began.Add(-time.Hour), Started: began.Add(-3 * 24 * time.Hour), Restarts: restarts, Failure: why, Note: note,
			Memory: int64(n) << 30,
		}
	}
	world(ts).SetInstances(app, one(1, octo.PhaseHealthy, 0, nil, "redirects to https"),
		one(2, octo.PhaseFailed, 7, &octo.Failure{Kind: octo.FailedOOM, Message: "killed: over 512 MiB"}, ""),
		one(3, octo.PhaseDraining, 0, nil, ""),
		one(4, octo.PhaseHealthy, 3, &octo.Failure{Kind: octo.FailedExit, Message: "worker exited with code 1 after 2.0 s"}, ""),
		one(5, octo.PhaseHealthy, 0, &octo.Failure{Kind: octo.FailedCheck, Message: "GET / was answered with status 500"}, ""))
}

// overSSH runs a command line inside the daemon, as ssh octo@HOST does:
// over-ssh USER octo-arguments… ; a user called root is an admin.
func overSSH(ts *testscript.TestScript, neg bool, args []string) {
	who := octo.Identity{User: args[0], Admin: args[0] == "root", Key: "SHA256:x"}
	client := api.InProcess(api.NewServer(world(ts).Config()).Handler(who))
	stdin := strings.NewReader("")
	if text, err := os.ReadFile(ts.MkAbs("stdin")); err == nil {
		stdin = strings.NewReader(string(text))
	}
	stdio := Stdio{In: stdin, Out: ts.Stdout(), Err: ts.Stderr()}
	if got := Remote(context.Background(), args[1:], stdio, client); (got != 0) != neg {
		ts.Fatalf("exit code %d", got)
	}
}

// soon waits until something is so.
func soon(ts *testscript.TestScript, what string, so func() bool) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !so() {
		select {
		case <-ctx.Done():
			ts.Fatalf("it never happened: %s", what)
		case <-tick.C:
		}
	}
}

// followers waits until as many streams are followed: followers N
func followers(ts *testscript.TestScript, _ bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	soon(ts, args[0]+" followers", func() bool { return world(ts).Followers() == want })
}

// await waits until a file contains a text: await FILE TEXT
func await(ts *testscript.TestScript, _ bool, args []string) {
	soon(ts, args[1], func() bool {
		text, err := os.ReadFile(ts.MkAbs(args[0]))
		return err == nil && strings.Contains(string(text), args[1])
	})
}

// key writes a public key to a file: key FILE SEED COMMENT
func key(ts *testscript.TestScript, _ bool, args []string) {
	line, err := publicKey(args[1], args[2])
	ts.Check(err)
	ts.Check(os.MkdirAll(filepath.Dir(ts.MkAbs(args[0])), 0o700))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(line), 0o600))
}

// publicKey returns the same line of authorized_keys for the same seed.
func publicKey(seed, comment string) (string, error) {
	private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte(seed[:1]), ed25519.SeedSize))
	public, err := ssh.NewPublicKey(private.Public())
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public))) + " " + comment + "\n", nil
}

// Every example in the help works as it is written.
func TestExamples(t *testing.T) {
	for _, cmd := range newRootCommand(&session{}).Commands() {
		if cmd.Hidden {
			continue
		}
		require.NotEmpty(t, cmd.Example, cmd.Name())
		for line := range strings.Lines(cmd.Example) {
			line = strings.TrimSpace(line)
			t.Run(line, func(t *testing.T) {
				t.Parallel()
				require.True(t, strings.HasPrefix(line, "octo "+strings.Split(cmd.Name(), ":")[0]), "an example of %s", cmd.Name())
				runExample(t, line)
			})
		}
	}
}

// exampleKey is the key that the help speaks of.
const exampleKey = "SHA256:nThbg6kXUpJWGl7E1IGOCspRomTxdCARLviKw6E5SY8"

func runExample(t *testing.T, line string) {
	dir := t.TempDir()
	home := filepath.Join(dir, "home")
	require.NoError(t, os.MkdirAll(filepath.Join(home, ".ssh"), 0o700))
	for name, owner := range map[string]string{"home/.ssh/id_ed25519.pub": "alice", "bob.pub": "bob"} {
		text, err := publicKey(owner, owner+"@laptop")
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	for name, text := range map[string]string{"token.txt": "s3cret", ".env": "GREETING=hi\nCOLOUR='dark red'\n"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	w := exampleWorld(t)
	stop, err := serveWorld(w, filepath.Join(dir, "s"))
	require.NoError(t, err)
	defer stop()
	run := func(line string) {
		cmd := exec.CommandContext(t.Context(), "sh", "-c", "exec "+line)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GORACE="+hurry, "HOME="+home, "XDG_CONFIG_HOME="+home, "OCTO_SOCKET="+filepath.Join(dir, "s"), "GIT_CEILING_DIRECTORIES=/")
		if strings.HasPrefix(line, "octo config:edit") {
			cmd.Env = append(cmd.Env, "TEST_TERMINAL=1", "VISUAL=true")
		}
		if strings.HasSuffix(line, " -f") {
			interruptExample(t, cmd)
			return
		}
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s\n%s", line, out)
	}
	if strings.HasPrefix(line, "octo remote:remove") {
		run("octo remote:add prod ssh://octo@box.example:2222")
	}
	run(line)
}

// exampleWorld is the octohost that the help speaks of.
func exampleWorld(t *testing.T) *apitest.World {
	w := apitest.New()
	for _, app := range []octo.Name{"hello", "old-site", "older-site"} {
		_, err := w.CreateApp(t.Context(), octo.Identity{User: "alice"}, app)
		require.NoError(t, err)
	}
	w.Deploy("hello", "1111111111", "alice")
	w.Deploy("hello", "2222222222", "alice")
	w.PutKey(octo.Key{Fingerprint: exampleKey, User: "carol"})
	w.PutRun(octo.Run{Name: "run.k7f3q", App: "hello", Release: 2, User: "carol", Command: "rails runner Import.all"}, "importing")
	_, err := w.SetRole(t.Context(), octo.Identity{User: "alice"}, "hello", "carol", octo.RoleViewer)
	require.NoError(t, err)
	_, err = w.AddDomains(t.Context(), octo.Identity{User: "alice"}, "hello", []string{"www.example.net", "*.example.net"})
	require.NoError(t, err)
	_, err = w.Redirect(t.Context(), octo.Identity{User: "alice"}, "hello", "old.example.net", "example.com", 308)
	require.NoError(t, err)
	edit := octo.ConfigEdit{Set: octo.Config{"GREETING": octo.ConfigValue("hello"), "COLOUR": octo.ConfigValue("red")}}
	_, err = w.ChangeConfig(t.Context(), octo.Identity{User: "alice"}, "hello", edit, io.Discard)
	require.NoError(t, err)
	return w
}

// interruptExample lets a command that goes on say something, and then interrupts
// it, as a person does.
func interruptExample(t *testing.T, cmd *exec.Cmd) {
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	var complaints bytes.Buffer
	cmd.Stderr = &complaints
	require.NoError(t, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	require.NotEmpty(t, line)
	require.NoError(t, cmd.Process.Signal(os.Interrupt))
	_ = cmd.Wait() // the code says how it ended
	require.Equal(t, exitInterrupted, cmd.ProcessState.ExitCode())
	require.Empty(t, complaints.String())
}
