package manifest

import (
	"strings"

	"github.com/octohost/octohost/internal/octo"
)

// shellCharacters are those that only a shell gives their meaning.
const shellCharacters = "$`;&|<>()*?[]{}~!#\n"

// split turns a command in one string into argv. A command that uses a shell's means
// runs in /bin/sh of the image, as on Heroku; a plain one runs by itself, so that an
// image without a shell can have one.
func split(s string) (Command, error) {
	if len(s) > maxCommand {
		return nil, octo.Errorf(octo.ErrInvalid, "the command is longer than %d bytes", maxCommand)
	}
	if strings.ContainsRune(s, 0) {
		return nil, octo.Errorf(octo.ErrInvalid, "the command contains a null character")
	}
	if strings.ContainsAny(s, shellCharacters) {
		return Command{"/bin/sh", "-c", s}, nil
	}
	words, err := words(s)
	if err != nil {
		return nil, err
	}
	if len(words) == 0 {
		return nil, octo.Errorf(octo.ErrInvalid, "the command is empty")
	}
	return words, nil
}

// words splits at white space; quotes and backslashes keep it, as in a shell.
func words(s string) ([]string, error) {
	var out []string
	var word strings.Builder
	inWord, quote, escaped := false, rune(0), false
	for _, r := range s {
		switch {
		case escaped:
			word.WriteRune(r)
			escaped = false
		case r == '\\' && quote != '\'':
			escaped, inWord = true, true
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '"' || r == '\'':
			quote, inWord = r, true
		case r == ' ' || r == '\t':
			if inWord {
				out = append(out, word.String())
			}
			word.Reset()
			inWord = false
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	if quote != 0 || escaped {
		return nil, octo.Errorf(octo.ErrInvalid, "the command has a quote that is not closed: %.60q", s)
	}
	if inWord {
		out = append(out, word.String())
	}
	return out, nil
}
