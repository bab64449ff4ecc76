package node

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
)

const (
	logLines   = 20  // of a failed instance's log that are shown
	maxLogLine = 500 // bytes of each
)

// ending is how a container ended.
type ending struct {
	process  octo.Process
	box      *engine.Container
	attempts int  // starts in a row that did not last
	oom      bool // the engine told of it, or the container does
}

// exited explains why an instance ended.
func exited(e ending) *octo.Failure {
	ran := e.box.Finished.Sub(e.box.Started)
	if e.oom {
		return &octo.Failure{
			Kind: octo.FailedOOM,
			Message: fmt.Sprintf("%s was killed by the kernel after %s: it used more memory than its limit of %s",
				e.process.Name, inSeconds(max(0, ran)), inMegabytes(e.process.Memory)),
			Hint: fmt.Sprintf("let it use less, or raise its limit: octo limits:set %s memory=…", e.process.Name),
		}
	}
	message := fmt.Sprintf("%s exited with code %d after %s", e.process.Name, e.box.ExitCode, inSeconds(max(0, ran)))
	if e.attempts > 1 {
		message += fmt.Sprintf(" (%d starts in a row ended)", e.attempts)
	}
	return &octo.Failure{Kind: octo.FailedExit, Message: message, Hint: exitHint(e.box.ExitCode)}
}

// exitHint says what an exit code usually means (sysexits of the shell and the
// engine: 126, 127, and 128 plus the number of a signal).
func exitHint(code int) string {
	switch code {
	case 0:
		return "a process has to go on running: start the server in the foreground"
	case 126, 127:
		return "the command was not found or cannot be executed: check CMD in the Dockerfile, or the Procfile"
	case 128 + 6, 128 + 11:
		return "the program crashed; its last lines may say where"
	case 128 + 9:
		return "something killed it (SIGKILL); its last lines may say why"
	}
	return "its last lines may say why; try the same image with: docker run"
}

// refused explains an error of the engine, or of what comes before it is asked.
func refused(process octo.Name, err error) *octo.Failure {
	f := &octo.Failure{Kind: octo.FailedEngine, Message: fmt.Sprintf("%s could not be started: %v", process, err)}
	var e *octo.Error
	if errors.As(err, &e) {
		f.Message = fmt.Sprintf("%s could not be started: %s", process, e.Message)
		f.Hint = e.Hint
	}
	return f
}

// silence is a health check that never was good.
type silence struct {
	process   octo.Process
	box       engine.Container
	asked     time.Time // when its start was asked for; zero if it is not known
	took      time.Duration
	last      answer
	listeners []netip.AddrPort
	looked    bool // listeners are known
}

// unhealthy explains why an instance did not become healthy in time.
func unhealthy(s silence) *octo.Failure {
	switch {
	case s.last.seen.connected():
		return badAnswer(s)
	case s.last.seen >= seenExit:
		return badCommand(s)
	}
	f := &octo.Failure{Kind: octo.FailedPort, Hint: listenHint(s.process.Port)}
	f.Message = fmt.Sprintf("%s does not accept connections on port %d after %s", s.process.Name, s.process.Port, inSeconds(s.took))
	if !s.looked {
		return f
	}
	right, loopback, other := openPorts(s.listeners, s.process.Port)
	switch {
	case right:
		f.Message = fmt.Sprintf("%s listens on port %d, but did not accept a connection within %s", s.process.Name, s.process.Port, inSeconds(s.took))
		f.Hint = "if it needs longer to start, raise [deploy] health_timeout; an IPv6-only socket cannot be reached either"
	case loopback:
		f.Kind = octo.FailedLoopback
		f.Message = fmt.Sprintf("%s listens on port %d of 127.0.0.1 only, where nothing outside its container can reach it", s.process.Name, s.process.Port)
		f.Hint = fmt.Sprintf("listen on 0.0.0.0:%d instead", s.process.Port)
	case len(other) > 0:
		f.Kind = octo.FailedWrong
		f.Message = fmt.Sprintf("%s listens on port %s, but port %d is expected", s.process.Name, strings.Join(other, ", "), s.process.Port)
		f.Hint = listenHint(s.process.Port) + ", or EXPOSE the other port in the Dockerfile"
	default:
		f.Message = fmt.Sprintf("%s listens on no port after %s", s.process.Name, inSeconds(s.took))
	}
	return f
}

func listenHint(port int) string {
	return fmt.Sprintf("listen on 0.0.0.0 and the port in $PORT (%d)", port)
}

// badAnswer explains an instance that accepts connections but does not answer well.
func badAnswer(s silence) *octo.Failure {
	path := s.process.Check.Path
	f := &octo.Failure{Kind: octo.FailedCheck, Hint: "its last lines may say why"}
	switch s.last.seen {
	case seenAnswer:
		f.Message = fmt.Sprintf("GET %s still answered %d after %s", path, s.last.status, inSeconds(s.took))
		f.Hint = "any answer below 500 is good; set [deploy] health_path to check another path"
	case seenSlow:
		f.Message = fmt.Sprintf("%s accepts connections on port %d, but GET %s got no answer within %s", s.process.Name, s.process.Port, path, inSeconds(min(timeoutOf(s.process.Check), s.took)))
	case seenClosed:
		f.Message = fmt.Sprintf("%s accepts connections on port %d, but closes them without an answer to GET %s", s.process.Name, s.process.Port, path)
	default:
		f.Message = fmt.Sprintf("what %s answers on port %d is not HTTP", s.process.Name, s.process.Port)
		f.Hint = "only the web process needs a port; it has to speak plain HTTP/1.1 (no TLS) there"
	}
	return f
}

// badCommand explains an instance whose health command is not content.
func badCommand(s silence) *octo.Failure {
	line := commandLine(s.process.Check.Command)
	f := &octo.Failure{Kind: octo.FailedCheck, Hint: "try it with: docker run; or choose another check in octohost.toml, for example check = \"http\""}
	switch {
	case s.last.seen == seenStuck:
		f.Message = fmt.Sprintf("the health command of %s did not end within %s: %s", s.process.Name, inSeconds(timeoutOf(s.process.Check)), line)
	case s.last.seen == seenUnheard:
		f.Message = fmt.Sprintf("the health command of %s: %s", s.process.Name, s.last.detail)
	case s.last.status == 126 || s.last.status == 127:
		f.Message = fmt.Sprintf("the health command of %s cannot be run: %s", s.process.Name, line)
		f.Hint = "put the program into the image, or choose another check in octohost.toml, for example check = \"http\""
	default:
		f.Message = fmt.Sprintf("the health command of %s still ended with exit code %d after %s: %s", s.process.Name, s.last.status, inSeconds(s.took), line)
	}
	return f
}

// openPorts looks for port among listeners: whether it is open to others, or on the
// loopback address only, and which others are open.
func openPorts(listeners []netip.AddrPort, port int) (right, loopback bool, other []string) {
	for _, l := range listeners {
		switch {
		case int(l.Port()) == port && l.Addr().IsLoopback():
			loopback = true
		case int(l.Port()) == port:
			right = true
		case l.Addr().IsLoopback():
			other = append(other, l.String())
		default:
			other = append(other, fmt.Sprint(l.Port()))
		}
	}
	slices.Sort(other)
	return right, loopback, slices.Compact(other)
}

func inMegabytes(n int64) string {
	if n <= 0 {
		return "the machine"
	}
	return fmt.Sprintf("%d MB", n>>20)
}

// tidy makes a line of a log fit to be shown to a person: valid text without
// control characters, and bounded.
func tidy(line string) string {
	if len(line) > maxLogLine {
		cut := maxLogLine
		for cut > 0 && !utf8.RuneStart(line[cut]) {
			cut--
		}
		line = line[:cut] + "…"
	}
	line = strings.ToValidUTF8(line, "\uFFFD")
	return strings.Map(func(r rune) rune {
		if r != '\t' && (r < ' ' || r == 0x7f || (r >= 0x80 && r < 0xa0)) {
			return -1
		}
		return r
	}, line)
}
