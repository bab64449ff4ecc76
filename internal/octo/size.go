package octo

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Size is a number of bytes that reads and prints as text in JSON and TOML: "512M",
// "1.5GiB". As in docker(1), k, M, G and T are powers of 1024, in any case, with or
// without "B" or "iB" behind them.
type Size int64

// ParseSize reads a size; the error is of kind ErrInvalid.
func ParseSize(s string) (Size, error) {
	text := strings.ToLower(strings.TrimSpace(s))
	text = strings.TrimSuffix(strings.TrimSuffix(text, "b"), "i")
	shift := 0
	if text != "" {
		if i := strings.IndexByte("kmgt", text[len(text)-1]); i >= 0 {
			shift = 10 * (i + 1)
			text = text[:len(text)-1]
		}
	}
	n, err := strconv.ParseFloat(strings.TrimSpace(text), 64)
	n *= float64(int64(1) << shift)
	if err != nil || !(n >= 0 && n < math.MaxInt64) {
		return 0, Errorf(ErrInvalid, "%s is not a size", quoteShort(s)).WithHint("write for example 512M or 2GiB")
	}
	return Size(n), nil
}

// UnmarshalText reads what ParseSize reads.
func (s *Size) UnmarshalText(text []byte) (err error) {
	*s, err = ParseSize(string(text))
	return err
}

// MarshalText prints the size so that it reads back exactly.
func (s Size) MarshalText() ([]byte, error) {
	n, unit := int64(s), ""
	for _, u := range []string{"KiB", "MiB", "GiB", "TiB"} {
		if n == 0 || n%1024 != 0 {
			break
		}
		n, unit = n/1024, u
	}
	return []byte(strconv.FormatInt(n, 10) + unit), nil
}

// String prints the size for people: "1.5 GiB".
func (s Size) String() string {
	if s < 1024 {
		return fmt.Sprintf("%d B", int64(s))
	}
	v, i := float64(s)/1024, 0
	for v >= 1024 && i < 3 {
		v, i = v/1024, i+1
	}
	return fmt.Sprintf("%.1f %ciB", v, "KMGT"[i])
}
