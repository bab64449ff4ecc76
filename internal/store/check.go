package store

import (
	"strings"
	"unicode/utf8"

	"github.com/octohost/octohost/internal/octo"
)

// MaxKey is the longest key in bytes.
const MaxKey = 512

// CheckKey returns ErrInvalid unless key is one that every implementation takes:
// up to MaxKey bytes of UTF-8 without control characters, in non-empty parts
// between slashes of which none is "." or ".." (they would travel in URLs).
func CheckKey(key string) error {
	if why := badKey(key); why != "" {
		return octo.Errorf(octo.ErrInvalid, "%.80q is not a key: %s", key, why)
	}
	return nil
}

// CheckPrefix returns ErrInvalid unless prefix is empty or a key with a slash at
// the end.
func CheckPrefix(prefix string) error {
	if prefix == "" {
		return nil
	}
	key, slash := strings.CutSuffix(prefix, "/")
	if !slash {
		return octo.Errorf(octo.ErrInvalid, "%.80q is not a prefix: it does not end in a slash", prefix)
	}
	if why := badKey(key); why != "" {
		return octo.Errorf(octo.ErrInvalid, "%.80q is not a prefix: %s", prefix, why)
	}
	return nil
}

// CheckValue returns ErrInvalid if value is larger than MaxValue.
func CheckValue(key string, value []byte) error {
	if len(value) > MaxValue {
		return octo.Errorf(octo.ErrInvalid, "the value of %s has %d bytes; at most %d can be stored", key, len(value), MaxValue)
	}
	return nil
}

func badKey(key string) string {
	switch {
	case key == "":
		return "it is empty"
	case len(key) > MaxKey:
		return "it is too long"
	case !utf8.ValidString(key):
		return "it is not UTF-8"
	case strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || (r >= 0x7f && r < 0xa0) }):
		return "it contains a control character"
	}
	for part := range strings.SplitSeq(key, "/") {
		switch part {
		case "":
			return "a part of it is empty"
		case ".", "..":
			return "a part of it is " + part
		}
	}
	return ""
}
