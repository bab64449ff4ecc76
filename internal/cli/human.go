package cli

import (
	"fmt"
	"strings"
	"time"

	"github.com/octohost/octohost/internal/octo"
)

// age returns how long ago t was, in one unit: 5s, 3m, 2h, 4d. It is empty for the
// zero time.
func age(now, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	switch d := max(0, now.Sub(t)); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
}

// ago returns t in words: "3m ago".
func ago(now, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return age(now, t) + " ago"
}

// moment returns t in full and in words.
func moment(now, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return fmt.Sprintf("%s (%s)", t.UTC().Format(time.RFC3339), ago(now, t))
}

// size returns n bytes in a readable unit. It is empty for 0, which means unknown.
func size(n int64) string {
	switch {
	case n <= 0:
		return ""
	case n < 1<<20:
		return fmt.Sprintf("%d KiB", (n+1023)>>10)
	case n < 1<<30:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	default:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	}
}

// version returns the name of release n, or nothing for 0.
func version(n int) string {
	if n == 0 {
		return ""
	}
	return octo.Version(n)
}

// copyName returns the process and ordinal of an instance, "web.1": the parts that
// stay the same from release to release.
func copyName(process octo.Name, id octo.InstanceID) string {
	dot := strings.LastIndexByte(string(id), '.')
	if process == "" || dot < 0 {
		return string(id)
	}
	return string(process) + string(id)[dot:]
}

// short returns the abbreviation of a commit.
func short(commit string) string {
	const digits = 7
	if len(commit) > digits {
		return commit[:digits]
	}
	return commit
}
