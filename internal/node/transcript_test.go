package node

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTranscript_CondensesWhatRepeats(t *testing.T) {
	tr := &transcript{}
	for i := range 47 {
		tr.add(time.Duration(i)*104*time.Millisecond, "connection refused")
	}
	tr.add(4900*time.Millisecond, "GET / answered 502")
	require.Equal(t, []string{
		"0.0 s … 4.8 s: connection refused (47 times)",
		"4.9 s: GET / answered 502",
	}, tr.lines())
}

func TestTranscript_IsBounded(t *testing.T) {
	tr := &transcript{}
	for i := range 1000 {
		tr.add(time.Duration(i)*time.Second, fmt.Sprint("answer ", i))
	}
	lines := tr.lines()
	require.Len(t, lines, maxTranscript+1)
	require.Equal(t, "9.0 s: answer 9", lines[9])
	require.Equal(t, "… 980 more …", lines[10])
	require.Equal(t, "990.0 s: answer 990", lines[11])
	require.Equal(t, "999.0 s: answer 999", lines[20])
	require.Empty(t, (&transcript{}).lines())
}
