package webapp

import (
	"bufio"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// count prints numbers until stop, so that it can be seen whether any of its lines was
// lost: every second one to standard error, which has numbers of its own.
func (p Process) count(stop <-chan struct{}) {
	every := p.duration("COUNT", 0)
	if every == 0 {
		<-stop
		return
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for n := 0; ; n++ {
		p.say(p.Stdout, fmt.Sprintf("out %d", n))
		p.say(p.Stderr, fmt.Sprintf("err %d", n))
		select {
		case <-tick.C:
		case <-stop:
			p.say(p.Stdout, fmt.Sprintf("counted out to %d", n))
			p.say(p.Stderr, fmt.Sprintf("counted err to %d", n))
			return
		}
	}
}

// flood prints lines of 100 bytes as fast as it can, and says how many that were.
func (h *handler) flood(w http.ResponseWriter, r *http.Request) {
	out := bufio.NewWriterSize(h.process.Stdout, 16<<10)
	tail := strings.Repeat("x", 89)
	n := 0
	for end := time.Now().Add(period(r.FormValue("for"), time.Second)); time.Now().Before(end); {
		for range 100 {
			_, _ = fmt.Fprintf(out, "%09d %s\n", n, tail) // nobody left to tell
			n++
		}
	}
	_ = out.Flush() // likewise
	write(w, fmt.Sprintf("%d\n", n))
}
