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
	words, err := octo.Words(s)
	if err != nil {
		return nil, err
	}
	if len(words) == 0 {
		return nil, octo.Errorf(octo.ErrInvalid, "the command is empty")
	}
	return words, nil
}
