// Package dotenv reads and writes environments as text, in a dialect that loses
// nothing: what Format writes, Parse reads back byte for byte. Nothing is ever
// executed or expanded.
//
//	# a comment
//	NAME=plain           up to the end of the line, or to a # behind a space
//	export NAME=plain    the same
//	NAME='literal'       up to the next ', also over several lines
//	NAME="escaped"       up to the next ", also over several lines; \n \r \t \" \\ \$ \xHH
package dotenv

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/octohost/octohost/internal/octo"
)

// Format returns c as text, sorted by name.
func Format(c octo.Config) []byte {
	var out bytes.Buffer
	for _, name := range slices.Sorted(maps.Keys(c)) {
		out.WriteString(name)
		out.WriteByte('=')
		quote(&out, c[name])
		out.WriteByte('\n')
	}
	return out.Bytes()
}

// Quote returns a value as Format writes it.
func Quote(value octo.ConfigValue) string {
	var out bytes.Buffer
	quote(&out, value)
	return out.String()
}

// quote writes a value in the simplest way that is safe. What a shell or another
// program would read differently is put between single quotes, in which all agree.
func quote(out *bytes.Buffer, value []byte) {
	switch {
	case isPlain(value):
		out.Write(value)
	case isLiteral(value):
		out.WriteByte('\'')
		out.Write(value)
		out.WriteByte('\'')
	default:
		escape(out, value)
	}
}

func isPlain(value []byte) bool {
	return !bytes.ContainsFunc(value, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("_-+./:@%,=", r))
	})
}

func isLiteral(value []byte) bool {
	return utf8.Valid(value) && !bytes.ContainsFunc(value, func(r rune) bool { return r == '\'' || !unicode.IsPrint(r) })
}

// escape writes a value between double quotes. Line feeds stay what they are where
// they end a line of several, so that a person can read a key or a certificate.
func escape(out *bytes.Buffer, value []byte) {
	text := utf8.Valid(value)
	out.WriteByte('"')
	for len(value) > 0 {
		r, n := utf8.DecodeRune(value)
		switch {
		case r == '\n' && text:
			out.WriteByte('\n')
		case strings.ContainsRune("\"\\$`", r):
			out.WriteByte('\\')
			out.WriteRune(r)
		case r == '\n':
			out.WriteString(`\n`)
		case r == '\r':
			out.WriteString(`\r`)
		case r == '\t':
			out.WriteString(`\t`)
		case r == utf8.RuneError && n == 1, !unicode.IsPrint(r):
			for _, b := range value[:n] {
				fmt.Fprintf(out, `\x%02x`, b)
			}
		default:
			out.Write(value[:n])
		}
		value = value[n:]
	}
	out.WriteByte('"')
}

// Parse reads text. Errors are of kind octo.ErrInvalid, name the line, and say nothing
// of the values.
func Parse(text []byte) (octo.Config, error) {
	p := &parser{rest: bytes.TrimPrefix(text, []byte("\ufeff")), line: 1}
	c, at := octo.Config{}, map[string]int{}
	for p.skip() {
		line := p.line
		name, value, err := p.assignment()
		if err == nil {
			err = octo.CheckConfigName(name)
		}
		if err != nil {
			return nil, inLine(line, err)
		}
		if first, twice := at[name]; twice {
			return nil, inLine(line, octo.Errorf(octo.ErrInvalid, "%s is set a second time, after line %d", name, first).WithHint("remove one of them"))
		}
		c[name], at[name] = value, line
	}
	return c, nil
}

// inLine says where an error is.
func inLine(line int, err error) error {
	var e *octo.Error
	if told, ok := err.(*octo.Error); ok { //nolint:errorlint // ours, made just now
		e = told
	} else {
		e = octo.Errorf(octo.ErrInvalid, "%v", err)
	}
	return octo.Errorf(octo.ErrInvalid, "line %d: %s", line, e.Message).WithHint("%s", e.Hint)
}

// parser reads assignments.
type parser struct {
	rest []byte
	line int // of the first byte of rest
}

// take returns the first n bytes and moves on.
func (p *parser) take(n int) []byte {
	taken := p.rest[:n:n]
	p.line += bytes.Count(taken, []byte("\n"))
	p.rest = p.rest[n:]
	return taken
}

// skip moves to the next assignment, and reports whether there is one.
func (p *parser) skip() bool {
	for len(p.rest) > 0 {
		switch c := p.rest[0]; {
		case c == '#':
			p.take(p.untilLine())
		case c == ' ', c == '\t', c == '\r', c == '\n':
			p.take(1)
		default:
			return true
		}
	}
	return false
}

// untilLine returns how many bytes there are up to the end of the line.
func (p *parser) untilLine() int {
	if n := bytes.IndexByte(p.rest, '\n'); n >= 0 {
		return n
	}
	return len(p.rest)
}

func (p *parser) assignment() (string, octo.ConfigValue, error) {
	line := p.rest[:p.untilLine()]
	equals := bytes.IndexByte(line, '=')
	if equals < 0 {
		return "", nil, octo.Errorf(octo.ErrInvalid, "there is no = in it").WithHint("write NAME=value, or # in front of a comment")
	}
	name := strings.TrimSpace(string(line[:equals]))
	if after, ok := strings.CutPrefix(name, "export"); ok && strings.TrimLeft(after, " \t") != after {
		name = strings.TrimLeft(after, " \t")
	}
	p.take(equals + 1)
	value, err := p.value()
	return name, value, err
}

func (p *parser) value() (octo.ConfigValue, error) {
	line := p.rest[:p.untilLine()]
	blank := len(line) - len(bytes.TrimLeft(line, " \t"))
	switch line = line[blank:]; {
	case bytes.HasPrefix(line, []byte("'")):
		p.take(blank)
		return p.quoted('\'', func() ([]byte, error) { return p.take(1), nil })
	case bytes.HasPrefix(line, []byte(`"`)):
		p.take(blank)
		return p.quoted('"', p.escaped)
	case bytes.HasPrefix(line, []byte("`")):
		return nil, octo.Errorf(octo.ErrInvalid, "a value cannot begin with `").WithHint("put it between single quotes")
	}
	return p.plain()
}

// plain reads a value without quotes.
func (p *parser) plain() (octo.ConfigValue, error) {
	value := p.take(p.untilLine())
	for _, comment := range []string{" #", "\t#"} {
		value, _, _ = bytes.Cut(value, []byte(comment))
	}
	if bytes.IndexByte(value, 0) >= 0 {
		return nil, octo.Errorf(octo.ErrInvalid, "there is a zero byte in it").WithHint(`write it as \x00 between double quotes`)
	}
	return octo.ConfigValue(bytes.Trim(value, " \t\r")), nil
}

// quoted reads a value up to the next quote; next takes a piece of it.
func (p *parser) quoted(quote byte, next func() ([]byte, error)) (octo.ConfigValue, error) {
	value := octo.ConfigValue{}
	for p.take(1); len(p.rest) > 0; {
		if p.rest[0] == quote {
			p.take(1)
			return value, p.end()
		}
		piece, err := next()
		if err != nil {
			return nil, err
		}
		value = append(value, piece...)
	}
	return nil, octo.Errorf(octo.ErrInvalid, "the value that begins there has no closing %c", quote).WithHint("add one where it ends")
}

// end makes sure that nothing but a comment follows a closing quote.
func (p *parser) end() error {
	rest := bytes.TrimSpace(p.take(p.untilLine()))
	if len(rest) > 0 && rest[0] != '#' {
		return octo.Errorf(octo.ErrInvalid, "something follows the closing quote").WithHint(`write a quote within double quotes as \"`)
	}
	return nil
}

// escaped takes one byte of a value between double quotes, or an escape.
func (p *parser) escaped() ([]byte, error) {
	if p.rest[0] != '\\' {
		return p.take(1), nil
	}
	if len(p.rest) == 1 {
		return p.take(1), nil // the closing quote is missing, which is said next
	}
	switch c := p.take(2)[1]; c {
	case 'n':
		return []byte{'\n'}, nil
	case 'r':
		return []byte{'\r'}, nil
	case 't':
		return []byte{'\t'}, nil
	case '"', '\\', '$', '`', '\'':
		return []byte{c}, nil
	case 'x':
		if len(p.rest) >= 2 {
			if b, err := strconv.ParseUint(string(p.rest[:2]), 16, 8); err == nil {
				p.take(2)
				return []byte{byte(b)}, nil
			}
		}
	}
	return nil, octo.Errorf(octo.ErrInvalid, `between double quotes a \ must be followed by n, r, t, ", \, $ or xHH`).
		WithHint(`write it as \\, or put the value between single quotes`)
}
