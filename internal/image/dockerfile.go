package image

import (
	"strings"
)

// features are what decides which builder suits a Dockerfile.
type features struct {
	runs     bool // it has RUN steps, which use memory and CPU
	buildKit bool // it needs BuildKit
}

// scan looks through a Dockerfile. It is no parser: what it gets wrong costs speed
// or a clear message from the builder, never a wrong image.
func scan(text string) features {
	var f features
	lines, escape := logicalLines(text)
	if escape.syntax {
		f.buildKit = true
	}
	for _, line := range lines {
		word, args, _ := strings.Cut(line, " ")
		word = strings.ToUpper(word)
		if word == "ONBUILD" {
			word, args, _ = strings.Cut(strings.TrimSpace(args), " ")
			word = strings.ToUpper(word)
		}
		f.runs = f.runs || word == "RUN"
		f.buildKit = f.buildKit || needsBuildKit(word, strings.TrimSpace(args))
	}
	return f
}

// directives are the special comments at the top of a Dockerfile
// (https://docs.docker.com/reference/dockerfile/#parser-directives).
type directives struct {
	syntax bool // it names a frontend of BuildKit
	escape byte
}

// logicalLines returns the instructions with their continuation lines joined,
// without comments and empty lines.
func logicalLines(text string) ([]string, directives) {
	d := directives{escape: '\\'}
	var lines []string
	top, open := true, false
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if top = top && d.read(line); top || line == "" || line[0] == '#' {
			continue
		}
		more := line[len(line)-1] == d.escape
		if more {
			line = line[:len(line)-1]
		}
		if open {
			lines[len(lines)-1] += line
		} else {
			lines = append(lines, line)
		}
		open = more
	}
	return lines, d
}

// read takes a directive and reports whether line is one.
func (d *directives) read(line string) bool {
	comment, ok := strings.CutPrefix(line, "#")
	name, value, assigned := strings.Cut(comment, "=")
	value = strings.TrimSpace(value)
	if !ok || !assigned || value == "" {
		return false
	}
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "syntax":
		d.syntax = true
	case "escape":
		d.escape = value[0]
	case "check":
	default:
		return false
	}
	return true
}

// needsBuildKit reports whether the classic builder would refuse an instruction, or
// do something else with it.
func needsBuildKit(word, args string) bool {
	// Variables that only BuildKit sets.
	if strings.Contains(args, "TARGETPLATFORM") || strings.Contains(args, "TARGETARCH") || strings.Contains(args, "TARGETOS") ||
		strings.Contains(args, "BUILDPLATFORM") || strings.Contains(args, "BUILDARCH") || strings.Contains(args, "BUILDOS") {
		return true
	}
	switch word {
	case "RUN":
		return hasFlag(args, "mount", "network", "security", "device") || hasHeredoc(args)
	case "COPY", "ADD":
		return hasFlag(args, "link", "chmod", "parents", "exclude", "checksum", "keep-git-dir", "unpack") || hasHeredoc(args)
	}
	return false
}

// hasFlag reports whether the flags in front of an instruction's arguments have one
// of these names.
func hasFlag(args string, names ...string) bool {
	for word := range strings.FieldsSeq(args) {
		flag, ok := strings.CutPrefix(word, "--")
		if !ok {
			return false
		}
		flag, _, _ = strings.Cut(flag, "=")
		for _, name := range names {
			if flag == name {
				return true
			}
		}
	}
	return false
}

// hasHeredoc reports whether a word begins a here-document: <<EOF, <<-EOF, <<"EOF".
func hasHeredoc(args string) bool {
	_, after, ok := strings.Cut(args, "<<")
	after = strings.TrimLeft(strings.TrimPrefix(after, "-"), `"'`)
	return ok && after != "" && (after[0] == '_' || after[0]|0x20 >= 'a' && after[0]|0x20 <= 'z')
}
