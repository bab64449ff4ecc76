package docker

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSecretID(t *testing.T) {
	head := []byte{0, 0, 0, 0, 0}
	require.Equal(t, "TOKEN", secretID(append(head, "\x0a\x05TOKEN\x12\x02\x0a\x00"...)), "annotations are passed over")
	for _, broken := range []string{"", "\x00\x00", "\x00\x00\x00\x00\x00\x0a\x05TOK", "\x00\x00\x00\x00\x00\xff"} {
		require.Empty(t, secretID([]byte(broken)))
	}
}

func FuzzSecretID(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x00\x07\x0a\x05TOKEN"))
	f.Fuzz(func(_ *testing.T, question []byte) { secretID(question) })
}
