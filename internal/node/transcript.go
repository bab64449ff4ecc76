package node

import (
	"fmt"
	"time"
)

// maxTranscript is how many different things in a row are kept; of more, the first
// and the last.
const maxTranscript = 20

// transcript is what health checks tried and saw, equal things in a row as one.
type transcript struct {
	entries []transcriptEntry
	left    int // entries that were left out in the middle
}

type transcriptEntry struct {
	first, last time.Duration // since the start
	what        string
	times       int
}

func (t *transcript) add(at time.Duration, what string) {
	if n := len(t.entries); n > 0 && t.entries[n-1].what == what {
		t.entries[n-1].last = at
		t.entries[n-1].times++
		return
	}
	if len(t.entries) == maxTranscript {
		const middle = maxTranscript / 2
		t.entries = append(t.entries[:middle], t.entries[middle+1:]...)
		t.left++
	}
	t.entries = append(t.entries, transcriptEntry{at, at, what, 1})
}

// lines prints the transcript: "0.0 s … 4.8 s: connection refused (47 times)".
func (t *transcript) lines() []string {
	var out []string
	for i, e := range t.entries {
		if t.left > 0 && i == maxTranscript/2 {
			out = append(out, fmt.Sprintf("… %d more …", t.left))
		}
		if e.times == 1 {
			out = append(out, fmt.Sprintf("%s: %s", inSeconds(e.first), e.what))
			continue
		}
		out = append(out, fmt.Sprintf("%s … %s: %s (%d times)", inSeconds(e.first), inSeconds(e.last), e.what, e.times))
	}
	return out
}

// inSeconds prints a duration for people: "4.8 s".
func inSeconds(d time.Duration) string { return fmt.Sprintf("%.1f s", d.Seconds()) }
