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
	_, err := decode(name, text, v, v)
	return err
}

// decode is Decode into v, where shape has all keys that there can be.
func decode(name string, text []byte, v, shape any) (*toml.MetaData, error) {
	if len(text) > MaxSize {
		return nil, octo.Errorf(octo.ErrInvalid, "%s has %d bytes, more than %d", name, len(text), MaxSize)
	}
	meta, err := toml.Decode(string(text), v)
	if err != nil {
		return nil, explain(name, err)
	}
	key := unknownKey(reflect.TypeOf(shape), meta.Keys())
	if key == nil {
		return &meta, nil
	}
	e := octo.Errorf(octo.ErrInvalid, "%s: unknown key %q%s", place(name, text, key), key[len(key)-1], inTable(key))
	if near := nearest(key[len(key)-1], keysOf(reflect.TypeOf(shape), key[:len(key)-1])); near != "" {
		return nil, e.WithHint("did you mean %q?", near)
	}
	return nil, e.WithHint("remove it, or see the documentation for the keys that there are")
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
		at := fmt.Sprintf("%s:%d:%d", name, parse.Position.Line, parse.Position.Col)
		var own *octo.Error
		if errors.As(errors.Unwrap(parse), &own) {
			return &octo.Error{Kind: octo.ErrInvalid, Message: at + ": " + own.Message, Hint: own.Hint}
		}
		return octo.Errorf(octo.ErrInvalid, "%s: %s", at, strings.TrimSuffix(parse.Message, "."))
	}
	message := strings.TrimPrefix(err.Error(), "toml: ")
	if m := typeError.FindStringSubmatch(message); m != nil {
		return octo.Errorf(octo.ErrInvalid, "%s:%s: %s is %s, it must be %s", name, m[1], m[2], inWords(m[3]), inWords(m[4]))
	}
	if m := tableError.FindStringSubmatch(message); m != nil {
		return octo.Errorf(octo.ErrInvalid, "%s:%s: %s is %s, it must be a table: [%s]", name, m[1], m[2], inWords(m[3]), m[2])
	}
	return octo.Errorf(octo.ErrInvalid, "%s: %s", name, message)
}

// How the decoder says that a value has the wrong type; it has no types of error for
// that.
var (
	typeError  = regexp.MustCompile(`^line (\d+) \(last key "([^"]+)"\): incompatible types: TOML value has type (\S+); destination has type (\S+)$`)
	tableError = regexp.MustCompile(`^line (\d+) \(last key "([^"]+)"\): type mismatch for .*: expected table but found (\S+)$`)
)

// inWords says what a type of the decoder is for a person.
func inWords(kind string) string {
	switch {
	case strings.HasPrefix(kind, "int"), kind == "integer":
		return "a whole number"
	case strings.HasPrefix(kind, "float"):
		return "a number"
	case kind == "string":
		return "text in quotes"
	case strings.HasPrefix(kind, "[]"), kind == "slice", kind == "array":
		return "a list"
	case strings.HasPrefix(kind, "bool"):
		return "true or false"
	}
	return "a " + kind
}

// place says where a key is in a file: "octohost.toml:3".
func place(name string, text []byte, key toml.Key) string {
	if line := lineOf(text, key); line > 0 {
		return fmt.Sprintf("%s:%d", name, line)
	}
	return name
}

// finder finds out where a value is: the decoder tells the position of what cannot be
// read, and of nothing else.
type finder struct{}

// UnmarshalTOML cannot read anything.
func (finder) UnmarshalTOML(any) error { return errors.New("found") }

// lineOf returns the line of the value of key in text that can be decoded, or 0.
func lineOf(text []byte, key toml.Key) int {
	var table map[string]toml.Primitive
	meta, err := toml.Decode(string(text), &table)
	for _, part := range key[:len(key)-1] {
		if err != nil {
			return 0
		}
		within := table[part]
		table = nil
		err = meta.PrimitiveDecode(within, &table)
	}
	value, ok := table[key[len(key)-1]]
	if !ok || err != nil {
		return 0
	}
	return lineOfValue(&meta, value)
}

// lineOfValue returns the line of a value; of a table without a header of its own,
// that of what comes first in it.
func lineOfValue(meta *toml.MetaData, value toml.Primitive) int {
	var found toml.ParseError
	if errors.As(meta.PrimitiveDecode(value, &finder{}), &found) && found.Position.Line > 0 {
		return found.Position.Line
	}
	first := 0
	var table map[string]toml.Primitive
	if meta.PrimitiveDecode(value, &table) != nil {
		return 0
	}
	for _, within := range table {
		if line := lineOfValue(meta, within); first == 0 || line > 0 && line < first {
			first = line
		}
	}
	return first
}

// unknownKey returns the first of the keys that a type has no place for, or nil. The
// decoder itself takes Port for port; here there is one way to write a key.
func unknownKey(t reflect.Type, keys []toml.Key) toml.Key {
	for _, key := range keys {
		for i, name := range key { // a table need not be written for itself
			if names := keysOf(t, key[:i]); names != nil && !slices.Contains(names, name) {
				return key[:i+1]
			}
		}
	}
	return nil
}

// keysOf lists the keys that the table at path has in a type; nil means any.
func keysOf(t reflect.Type, path toml.Key) []string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case t.Kind() == reflect.Map && len(path) > 0:
		return keysOf(t.Elem(), path[1:])
	case t.Kind() != reflect.Struct:
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
	if len(path) > 0 {
		return nil // its parent is unknown
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
