package deploy

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"time"
)

// printer tells the story of a deploy in Heroku's form. A reader that went away is
// no error: the deploy goes on.
type printer struct {
	mu    sync.Mutex
	out   io.Writer
	began time.Time
}

func newPrinter(out io.Writer) *printer { return &printer{out: out, began: time.Now()} }

// step begins a phase: "-----> Building hello".
func (p *printer) step(format string, args ...any) { p.print("-----> ", format, args...) }

// detail is a line within a phase.
func (p *printer) detail(format string, args ...any) { p.print("       ", format, args...) }

// warn is a line that should not be missed.
func (p *printer) warn(format string, args ...any) { p.print(" !     ", format, args...) }

// done ends the story: "=====> hello v3 live at http://…".
func (p *printer) done(format string, args ...any) { p.print("=====> ", format, args...) }

func (p *printer) print(prefix, format string, args ...any) {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, _ = fmt.Fprintf(p.out, prefix+format+"\n", args...) // see printer
}

// lines returns a writer that prints whole lines as details.
func (p *printer) lines() *lineWriter { return &lineWriter{p: p} }

// lineWriter indents what is written to it, line by line.
type lineWriter struct {
	p    *printer
	rest []byte
}

// Write takes everything and never fails.
func (w *lineWriter) Write(b []byte) (int, error) {
	w.rest = append(w.rest, b...)
	for {
		line, rest, found := bytes.Cut(w.rest, []byte("\n"))
		if !found {
			return len(b), nil
		}
		w.p.detail("%s", bytes.TrimRight(line, "\r"))
		w.rest = rest
	}
}

// flush prints what is left without a newline.
func (w *lineWriter) flush() {
	if len(w.rest) > 0 {
		w.p.detail("%s", w.rest)
		w.rest = nil
	}
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.2f s", d.Seconds()) }
