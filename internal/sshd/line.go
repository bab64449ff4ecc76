package sshd

import (
	"slices"
	"strings"

	"github.com/octohost/octohost/internal/octo"
)

// What git asks for.
const (
	receivePack = "receive-pack" // a push
	uploadPack  = "upload-pack"  // a clone or fetch
)

// exitGit is what git itself exits with when it cannot go on.
const exitGit = 128

// request is what a line asks for.
type request struct {
	git  string    // receivePack or uploadPack; empty if the line is none of git's
	app  octo.Name // for git
	args []string  // otherwise: a command
}

// name says what is asked for, without what may be secret.
func (r request) name() string {
	switch {
	case r.git != "":
		return "git-" + r.git
	case len(r.args) == 0:
		return "shell"
	case strings.ContainsFunc(r.args[0], func(c rune) bool { return c != ':' && c != '-' && (c < 'a' || c > 'z') }):
		return "no command" // perhaps what should have been behind one
	}
	return r.args[0]
}

// status returns the exit status to tell: git has one for whatever goes wrong.
func (r request) status(status uint32) uint32 {
	if r.git != "" && status != 0 && status < exitGit {
		return exitGit
	}
	return status
}

// parse reads the line that a client wants executed. It goes through no shell: what
// is not git's is a command of octo with plain words as arguments. With an error,
// the request still says whose the line is.
func parse(line string) (request, error) {
	words, err := octo.Words(line)
	if err != nil {
		return request{}, err
	}
	if op := operator(line); op != "" {
		return request{}, octo.Errorf(octo.ErrInvalid, "octohost runs no shell, so %s has no meaning here", op).
			WithHint("give one command; quote what belongs to a word")
	}
	service, rest := gitService(words)
	if service == "" {
		return request{args: words}, nil
	}
	req := request{git: service}
	if service != receivePack && service != uploadPack {
		return req, octo.Errorf(octo.ErrInvalid, "git %.40s is not served here, only push, fetch and clone", service)
	}
	if len(rest) != 1 {
		return req, octo.Errorf(octo.ErrInvalid, "git %s needs the name of one app", service)
	}
	req.app, err = octo.ParseName(strings.TrimSuffix(strings.TrimPrefix(rest[0], "/"), ".git"))
	return req, err
}

// gitService returns what "git-receive-pack NAME" and "git receive-pack NAME" ask
// for, and the rest; an empty service means that the words are none of git's.
func gitService(words []string) (service string, rest []string) {
	if len(words) == 0 {
		return "", nil
	}
	if service, ok := strings.CutPrefix(words[0], "git-"); ok {
		return service, words[1:]
	}
	if words[0] == "git" && len(words) > 1 {
		return words[1], words[2:]
	}
	return "", nil
}

// operator returns the first character outside quotes that a shell would take for
// the end of a command, or "". Inside a word, as in ?a=1&b=2, it is text.
func operator(line string) string {
	quote, escaped, atStart := rune(0), false, true
	runes := []rune(line)
	for i, c := range runes {
		atEnd := i+1 == len(runes) || isSpace(runes[i+1])
		switch {
		case escaped:
			escaped = false
		case c == '\\' && quote != '\'':
			escaped = true
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case c == '\'' || c == '"':
			quote = c
		case c == '\n' && strings.TrimSpace(string(runes[i:])) != "":
			return "a new line"
		case slices.Contains([]rune(";|&<>`"), c) && (atStart || atEnd):
			return string(c)
		}
		atStart = isSpace(c) && quote == 0
	}
	return ""
}

func isSpace(c rune) bool { return c == ' ' || c == '\t' || c == '\n' }
