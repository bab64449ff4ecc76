package node

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
)

const (
	// maxRunning is how many health commands run at the same time: each costs the engine
	// tens of milliseconds.
	maxRunning = 4
	// maxSaid is how much of the end of a command's output is kept, in bytes.
	maxSaid = 4 << 10
	// maxCommandLine is how much of a command is shown, in bytes.
	maxCommandLine = 120
	// killTimeout is how long the end of a command that was killed is waited for.
	killTimeout = 5 * time.Second
)

// ask checks an instance once, in the way that its kind of check says.
func (l *loop) ask(ctx context.Context, t target, connect, limit time.Duration) answer {
	if t.kind != octo.CheckCmd {
		return l.checks.ask(ctx, t, connect, limit)
	}
	if t.address != "" { // where requests must reach it, whatever its own command says
		if a := l.checks.ask(ctx, target{kind: octo.CheckTCP, address: t.address}, connect, limit); !a.good() {
			return a
		}
	}
	select {
	case l.running <- struct{}{}:
		defer func() { <-l.running }()
	case <-ctx.Done():
		return answer{seen: seenUnheard, detail: "it was not asked any more"}
	}
	return l.runCheck(ctx, t, limit)
}

// runCheck runs a health command inside of its container. One that does not end in
// time is killed.
func (l *loop) runCheck(ctx context.Context, t target, limit time.Duration) answer {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	s, err := l.cfg.Engine.Exec(ctx, t.container, engine.ExecSpec{Command: t.command})
	if err != nil {
		return answer{seen: seenUnheard, detail: fmt.Sprintf("%s could not be run: %v", commandLine(t.command), err)}
	}
	killed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(killed)
		l.killCheck(ctx, s)
	})
	var said tail
	err = s.Copy(&said, &said)
	code := 0
	if err == nil {
		code, err = s.Wait(ctx)
	}
	if stop() {
		_ = s.Close() // nothing more comes from it
	} else {
		<-killed
	}
	var refused *engine.CommandError
	switch {
	case ctx.Err() != nil:
		return answer{seen: seenStuck, detail: said.last()}
	case errors.As(err, &refused):
		return answer{seen: seenExit, status: 127, detail: tidy(refused.Message)}
	case err != nil:
		return answer{seen: seenUnheard, detail: fmt.Sprintf("%s was not heard of: %v", commandLine(t.command), err)}
	}
	return answer{seen: seenExit, status: code, detail: said.last()}
}

// killCheck ends a command whose time is up, and with it the wait for its output.
func (l *loop) killCheck(ctx context.Context, s engine.Session) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), killTimeout)
	defer cancel()
	if err := s.Signal(ctx, "KILL"); err != nil {
		l.log.Warn("a health command cannot be killed", "err", err)
	}
	_ = s.Close() // whatever it still prints
}

// commandLine is how a command is shown to people.
func commandLine(command []string) string {
	if len(command) == 3 && strings.HasSuffix(command[0], "sh") && command[1] == "-c" {
		command = command[2:]
	}
	line := tidy(strings.ReplaceAll(strings.Join(command, " "), "\n", " "))
	if len(line) > maxCommandLine {
		line = strings.ToValidUTF8(line[:maxCommandLine], "") + "…"
	}
	return "`" + line + "`"
}

// tail keeps the end of what is written to it.
type tail struct{ buf []byte }

// Write takes everything.
func (t *tail) Write(p []byte) (int, error) {
	t.buf = append(t.buf, p[max(0, len(p)-maxSaid):]...)
	t.buf = t.buf[max(0, len(t.buf)-maxSaid):]
	return len(p), nil
}

// last returns the last line that is not empty.
func (t *tail) last() string {
	lines := bytes.Split(bytes.TrimSpace(t.buf), []byte("\n"))
	return tidy(strings.TrimSpace(string(lines[len(lines)-1])))
}
