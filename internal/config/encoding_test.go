package config

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"
)

// What was sealed is ours, but a mistake in it must not take the daemon down.
func FuzzDecode(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x01A\x02bc"))
	f.Add([]byte("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01A"))
	f.Fuzz(func(t *testing.T, plain []byte) {
		values, err := decode(plain)
		if err != nil {
			require.ErrorIs(t, err, errEncoding)
			return
		}
		again, err := decode(encode(values))
		require.NoError(t, err)
		require.Len(t, again, len(values))
		for name := range values {
			require.True(t, bytes.Equal(values[name], again[name]))
		}
	})
}
