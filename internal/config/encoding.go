package config

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"

	"github.com/octohost/octohost/internal/octo"
)

// encode returns values as names and values in turn, each behind its length: text
// encodings would blow arbitrary bytes up.
func encode(values octo.Config) []byte {
	var out []byte
	for _, name := range slices.Sorted(maps.Keys(values)) {
		out = binary.AppendUvarint(out, uint64(len(name)))
		out = append(out, name...)
		out = binary.AppendUvarint(out, uint64(len(values[name])))
		out = append(out, values[name]...)
	}
	return out
}

// decode is the reverse of encode.
func decode(plain []byte) (octo.Config, error) {
	values := octo.Config{}
	for len(plain) > 0 {
		var name, value []byte
		var ok bool
		if name, plain, ok = cut(plain); !ok {
			return nil, errEncoding
		}
		if value, plain, ok = cut(plain); !ok {
			return nil, errEncoding
		}
		values[string(name)] = value
	}
	return values, nil
}

// cut takes one length and as many bytes off the front.
func cut(b []byte) (piece, rest []byte, ok bool) {
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return nil, nil, false
	}
	b = b[size:]
	return b[:n:n], b[n:], true
}

// errEncoding says that what was sealed is not what encode returns.
var errEncoding = errors.New("it is not encoded as a configuration")
