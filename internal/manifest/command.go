package manifest

import (
	"strings"

	"github.com/octohost/octohost/internal/octo"
)

// Command is argv, written as a list or as one string.
type Command []string

// UnmarshalTOML reads either form.
func (c *Command) UnmarshalTOML(v any) (err error) {
	switch v := v.(type) {
	case string:
		*c, err = split(v)
		return err
	case []any:
		*c, err = list(v)
		return err
	}
	return octo.Errorf(octo.ErrInvalid, "a command is a string, or a list of strings")
}

// list takes argv as it is written.
func list(words []any) (Command, error) {
	var c Command
	for _, word := range words {
		s, ok := word.(string)
		if !ok {
			return nil, octo.Errorf(octo.ErrInvalid, "a command is a list of strings, not %v", word)
		}
		c = append(c, s)
	}
	if len(c) == 0 || c[0] == "" {
		return nil, octo.Errorf(octo.ErrInvalid, "the command is empty")
	}
	return c, bounded(strings.Join(c, " "))
}

// shellCharacters are those that only a shell gives their meaning.
const shellCharacters = "$`;&|<>()*?[]{}~!#\n"

// split turns a command in one string into argv. A command that uses a shell's means
// runs in /bin/sh of the image, as on Heroku; a plain one runs by itself, so that an
// image without a shell can have one.
func split(s string) (Command, error) {
	if err := bounded(s); err != nil {
		return nil, err
	}
	if strings.ContainsAny(s, shellCharacters) {
		return Command{"/bin/sh", "-c", s}, nil
	}
	words, err := octo.Words(s)
	if err != nil {
		return nil, err
	}
	if len(words) == 0 || words[0] == "" {
		return nil, octo.Errorf(octo.ErrInvalid, "the command is empty")
	}
	if strings.Contains(words[0], "=") { // NAME=value before a command is the shell's, too
		return Command{"/bin/sh", "-c", s}, nil
	}
	return words, nil
}

func bounded(s string) error {
	if len(s) > maxCommand {
		return octo.Errorf(octo.ErrInvalid, "the command is longer than %d bytes", maxCommand)
	}
	if strings.ContainsRune(s, 0) {
		return octo.Errorf(octo.ErrInvalid, "the command contains a null character")
	}
	return nil
}
