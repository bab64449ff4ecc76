package image

import (
	"bytes"
	"strconv"
	"strings"

	"github.com/octohost/octohost/internal/engine"
)

// maxProgressLine bounds a line of buildx, in bytes; the rest of it is dropped.
const maxProgressLine = 64 << 10

// progress reads what buildx prints with --progress=plain and prints it as steps.
// A line is "#5 …" about step 5, of which the first names it:
//
//	#5 [2/3] RUN make
//	#5 0.213 cc -o hello hello.c
//	#5 DONE 0.3s
//
// after which come, if it failed, lines of which the last is "ERROR: …".
type progress struct {
	steps   *engine.Steps
	line    []byte
	names   map[string]string // by number; empty for what is not shown
	pending string            // a step that is not printed yet: it may be cached
	last    string            // the last line of output
	failed  string            // the step that failed
	failure string            // why the build failed
}

func newProgress(steps *engine.Steps) *progress {
	return &progress{steps: steps, names: map[string]string{}}
}

// Write takes what buildx prints. It never fails.
func (p *progress) Write(b []byte) (int, error) {
	for rest := b; len(rest) > 0; {
		part, after, ended := bytes.Cut(rest, []byte("\n"))
		p.line = append(p.line, part[:min(len(part), maxProgressLine-len(p.line))]...)
		if ended {
			p.take(strings.TrimRight(string(p.line), "\r"))
			p.line = p.line[:0]
		}
		rest = after
	}
	// buildx says in one go that a step has begun and that it was cached.
	p.announce()
	return len(b), nil
}

// end takes what came after the last newline.
func (p *progress) end() {
	if len(p.line) > 0 {
		p.take(string(p.line))
	}
	p.announce()
	p.steps.Flush()
}

func (p *progress) announce() {
	if p.pending != "" {
		p.steps.Begin(p.pending)
		p.pending = ""
	}
}

func (p *progress) take(line string) {
	if text, ok := strings.CutPrefix(line, "ERROR: "); ok {
		p.failure = engine.Cause(text, p.last)
		return
	}
	rest, ok := strings.CutPrefix(line, "#")
	number, text, named := strings.Cut(rest, " ")
	if _, err := strconv.Atoi(number); !ok || !named || err != nil {
		return
	}
	name, known := p.names[number]
	switch {
	case !known:
		p.announce()
		p.names[number] = shownName(text)
		p.pending = p.names[number]
	case text == "CACHED":
		p.cached(name)
	case strings.HasPrefix(text, "ERROR: "):
		p.announce()
		p.failed = name
	default:
		p.output(name, text)
	}
}

// cached says so on the step's own line, if that is not printed yet.
func (p *progress) cached(name string) {
	switch {
	case name == "":
	case p.pending == name:
		p.pending = ""
		p.steps.Cached(name)
	default:
		p.steps.Output(name, "(cached)\n")
	}
}

// output prints what a step printed: text behind the seconds since it began.
func (p *progress) output(name, text string) {
	seconds, printed, _ := strings.Cut(text, " ")
	if _, err := strconv.ParseFloat(seconds, 64); err != nil || !strings.Contains(seconds, ".") || name == "" {
		return // how far a download is, and the like
	}
	p.announce()
	p.steps.Output(name, printed+"\n")
	p.last = printed
}

// shownName is the name that a step is shown with; empty for buildx's own.
func shownName(name string) string {
	if image, ok := strings.CutPrefix(name, "[internal] load metadata for "); ok {
		return "looking up " + image
	}
	if strings.HasPrefix(name, "[") && !strings.HasPrefix(name, "[internal]") {
		return name
	}
	return ""
}
