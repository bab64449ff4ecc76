package octo

import (
	"strings"
	"time"
)

// LogLine is one line of an app's log.
type LogLine struct {
	Time   time.Time `json:"time"`
	App    Name      `json:"app"`
	Source LogSource `json:"source"`

	Release  int        `json:"release,omitempty"`  // that it is about; 0 means none
	Process  Name       `json:"process,omitempty"`  // that printed it, or served the request: "web"
	Instance InstanceID `json:"instance,omitempty"` // the copy of it
	Event    EventKind  `json:"event,omitempty"`    // of a line of octohost that tells an event

	Stderr bool   `json:"stderr,omitempty"`
	Text   string `json:"text"`
}

// LogSource says whose words a line has.
type LogSource string

// The sources of log lines.
const (
	LogApp      LogSource = "app"      // a process of the app printed it
	LogRouter   LogSource = "router"   // the proxy, about one request
	LogOctohost LogSource = "octohost" // octohost, about what it does with the app
)

// Name is what a person calls the one who speaks: "web.1", "router", "release".
func (l *LogLine) Name() string {
	switch {
	case l.Source == LogRouter:
		return string(LogRouter)
	case l.Process != "" && l.Instance != "":
		return string(l.Process) + "." + l.Instance.Copy()
	case l.Process != "":
		return string(l.Process)
	case l.Event != "":
		noun, _, _ := strings.Cut(string(l.Event), ".")
		return noun
	}
	return "logs"
}

// LogQuery selects lines of an app's log. What is zero does not matter.
type LogQuery struct {
	Tail   int       // the last n lines; 0 means 100
	Since  time.Time // not older
	Until  time.Time // not younger
	Follow bool      // go on with what comes, across releases

	Source  LogSource // of this source only
	Process string    // of this process, copy, run or source: "web", "web.1", "run.x7k2p", "router", "octohost"
	Release int       // about this release only
	Request string    // with this id of a request: the router's lines, and those that name it
	Text    string    // that contain this
}

// Check reports whether the query makes sense; the error is of kind ErrInvalid.
func (q *LogQuery) Check() error {
	switch {
	case q.Source != "" && q.Source != LogApp && q.Source != LogRouter && q.Source != LogOctohost:
		return Errorf(ErrInvalid, "there is no source %s", quoteShort(string(q.Source))).WithHint("it may be app, router or octohost")
	case !q.Since.IsZero() && !q.Until.IsZero() && q.Until.Before(q.Since):
		return Errorf(ErrInvalid, "until is before since")
	case q.Follow && !q.Until.IsZero():
		return Errorf(ErrInvalid, "what comes has no until").WithHint("leave out one of the two")
	case q.Process != "" && !validProcess(q.Process):
		return Errorf(ErrInvalid, "%s is not a process", quoteShort(q.Process)).WithHint("for example web, or web.1 for its first instance")
	case len(q.Request) > maxWanted || len(q.Text) > maxWanted:
		return Errorf(ErrInvalid, "what is looked for has more than %d bytes", maxWanted)
	}
	return nil
}

// maxWanted is the longest text that is looked for, in bytes.
const maxWanted = 1024

func validProcess(s string) bool {
	name, copied, ok := strings.Cut(s, ".")
	if ok && (copied == "" || len(copied) > MaxName || strings.Trim(copied, "abcdefghijklmnopqrstuvwxyz0123456789") != "") {
		return false
	}
	return badName(name) == ""
}

// Selects reports whether a line is one of those that are asked for.
func (q *LogQuery) Selects(l *LogLine) bool {
	switch {
	case !q.Since.IsZero() && l.Time.Before(q.Since), !q.Until.IsZero() && l.Time.After(q.Until),
		q.Source != "" && q.Source != l.Source,
		q.Release != 0 && q.Release != l.Release,
		q.Process != "" && !q.hears(l),
		q.Request != "" && !strings.Contains(l.Text, q.Request),
		q.Text != "" && !strings.Contains(l.Text, q.Text):
		return false
	}
	return true
}

// hears reports whether a line is said by the one who is asked for.
func (q *LogQuery) hears(l *LogLine) bool {
	return q.Process == l.Name() || q.Process == string(l.Source) || l.Source == LogApp && q.Process == string(l.Process)
}
