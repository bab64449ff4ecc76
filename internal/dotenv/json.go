package dotenv

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"unicode/utf8"

	"github.com/octohost/octohost/internal/octo"
)

// FormatJSON returns c as a JSON object, sorted by name. A value that is not UTF-8 is
// {"base64": "…"}.
func FormatJSON(c octo.Config) ([]byte, error) {
	if c == nil {
		c = octo.Config{}
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	err := enc.Encode(c)
	return out.Bytes(), err
}

// IsJSON reports whether text is meant to be JSON: no line of the other format begins
// with a brace.
func IsJSON(text []byte) bool {
	return bytes.HasPrefix(bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\ufeff"))), []byte("{"))
}

// ParseJSON reads what FormatJSON writes. Errors are of kind octo.ErrInvalid and say
// nothing of the values.
func ParseJSON(text []byte) (octo.Config, error) {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if !utf8.Valid(text) {
		return nil, octo.Errorf(octo.ErrInvalid, "this is not UTF-8, as JSON must be")
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	if brace, err := dec.Token(); err != nil || brace != json.Delim('{') {
		return nil, notObject()
	}
	c := octo.Config{}
	for dec.More() {
		token, err := dec.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return nil, notObject()
		}
		if err := octo.CheckConfigName(name); err != nil {
			return nil, err
		}
		if _, twice := c[name]; twice {
			return nil, octo.Errorf(octo.ErrInvalid, "%s is set twice", name).WithHint("remove one of them")
		}
		var value octo.ConfigValue
		if err := dec.Decode(&value); err != nil {
			return nil, badValue(name, err)
		}
		c[name] = value
	}
	if _, err := dec.Token(); err != nil {
		return nil, notObject()
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, notObject()
	}
	return c, nil
}

func notObject() error {
	return octo.Errorf(octo.ErrInvalid, "this is not one JSON object of strings").WithHint(`write {"NAME": "value", …}`)
}

// badValue says which value is wrong. What the decoder says may tell a part of it.
func badValue(name string, err error) error {
	var told *octo.Error
	if errors.As(err, &told) {
		return octo.Errorf(octo.ErrInvalid, "%s: %s", name, told.Message).WithHint("%s", told.Hint)
	}
	return octo.Errorf(octo.ErrInvalid, "%s: its value is not JSON", name).WithHint(`write {"NAME": "value", …}`)
}
