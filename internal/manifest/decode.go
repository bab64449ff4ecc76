package manifest

import (
	"errors"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/BurntSushi/toml"

	"github.com/octohost/octohost/internal/octo"
)

// MaxSize is the largest file that is read, in bytes.
const MaxSize = 64 << 10

// Decode reads TOML text into v, a pointer to a struct, strictly: a key that v does
// not have is an error. Errors are of kind octo.ErrInvalid and begin with the name
// of the file and the line: "octohost.toml:3: unknown key …".
func Decode(name string, text []byte, v any) error {
	if len(text) > MaxSize {
		return octo.Errorf(octo.ErrInvalid, "%s has %d bytes, more than %d", name, len(text), MaxSize)
	}
	meta, err := toml.Decode(string(text), v)
	if err != nil {
		return explain(name, err)
	}
	unknown := meta.Undecoded()
	if len(unknown) == 0 {
		return nil
	}
	key := unknown[0]
	e := octo.Errorf(octo.ErrInvalid, "%s:%d: unknown key %q%s", name, lineOf(text, key), key[len(key)-1], inTable(key))
	if near := nearest(key[len(key)-1], keysOf(reflect.TypeOf(v), key[:len(key)-1])); near != "" {
		return e.WithHint("did you mean %q?", near)
	}
	return e.WithHint("remove it, or see the documentation for the keys that there are")
}

func inTable(key toml.Key) string {
	if len(key) < 2 {
		return ""
	}
	return fmt.Sprintf(" in [%s]", key[:len(key)-1])
}

// explain turns the decoder's error into one line with a position.
func explain(name string, err error) error {
	var parse toml.ParseError
	if errors.As(err, &parse) {
		line, column := parse.Position.Line, parse.Position.Col
		if parse.Message == "" {
			return octo.Errorf(octo.ErrInvalid, "%s:%d: %v", name, line, errors.Unwrap(parse))
		}
		return octo.Errorf(octo.ErrInvalid, "%s:%d:%d: %s", name, line, column, parse.Message)
	}
	var own *octo.Error
	if errors.As(err, &own) {
		return &octo.Error{Kind: octo.ErrInvalid, Message: name + ": " + own.Message, Hint: own.Hint}
	}
	message := strings.TrimPrefix(err.Error(), "toml: ")
	if m := typeError.FindStringSubmatch(message); m != nil {
		return octo.Errorf(octo.ErrInvalid, "%s:%s: %s is a %s, it should be a %s", name, m[1], m[2], m[3], m[4])
	}
	return octo.Errorf(octo.ErrInvalid, "%s: %s", name, message)
}

// typeError is how the decoder says that a value has the wrong type; it has no type
// of error for it.
var typeError = regexp.MustCompile(`^line (\d+) \(last key "([^"]+)"\): incompatible types: TOML value has type (\S+); destination has type (\S+)$`)

// lineOf finds the line of a key; the decoder does not tell. 0 when it is written in
// a way that is not seen here, such as an inline table.
func lineOf(text []byte, key toml.Key) int {
	table, found := "", 0
	want, last := key[:len(key)-1].String(), key[len(key)-1]
	number := 0
	for line := range strings.Lines(string(text)) {
		number++
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			table = strings.Trim(strings.SplitN(line, "#", 2)[0], "[] \t")
			if table == key.String() {
				return number
			}
			continue
		}
		left, _, isKey := strings.Cut(line, "=")
		left = strings.Trim(strings.TrimSpace(left), `"'`)
		full := strings.TrimPrefix(table+"."+left, ".")
		if isKey && (table == want && left == last || full == key.String()) {
			return number
		}
		if found == 0 && table == want {
			found = number
		}
	}
	return found
}

// keysOf lists the keys of the table at path in a struct.
func keysOf(t reflect.Type, path toml.Key) []string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() == reflect.Map && len(path) > 0 {
		return keysOf(t.Elem(), path[1:])
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	var keys []string
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("toml")
		if len(path) > 0 && name == path[0] {
			return keysOf(f.Type, path[1:])
		}
		keys = append(keys, name)
	}
	return keys
}

// nearest returns the candidate that is at most two typing errors away from word,
// or "".
func nearest(word string, candidates []string) string {
	best, least := "", 3
	for _, c := range candidates {
		if d := distance(word, c); d < least && c != "" {
			best, least = c, d
		}
	}
	return best
}

// distance is how many letters must be put in, left out or changed to turn a into b
// (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], slices.Min([]int{row[j+1] + 1, row[j] + 1, diagonal + cost})
		}
	}
	return row[len(b)]
}
