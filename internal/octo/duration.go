package octo

import "time"

// Duration is a time.Duration that reads and prints as text ("30s") in JSON and
// TOML.
type Duration time.Duration

// MarshalText prints d as time.Duration does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what time.ParseDuration reads; negative values are refused.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil || v < 0 {
		return Errorf(ErrInvalid, "%s is not a duration", quoteShort(string(text))).WithHint("write for example 30s or 2m")
	}
	*d = Duration(v)
	return nil
}

// Std returns d as a time.Duration.
func (d Duration) Std() time.Duration { return time.Duration(d) }
