package cli

import (
	"context"
	"os/exec"
	"strings"

	"github.com/octohost/octohost/internal/octo"
)

// gitRemote is where the current directory is pushed to. The zero value is nowhere.
type gitRemote struct {
	host host
	app  octo.Name
}

// remoteURL is one remote of a repository.
type remoteURL struct{ name, url string }

// gitRemote returns where the current directory is pushed to, as git knows it.
func (s *session) gitRemote(ctx context.Context) (gitRemote, error) {
	if s.inProcess || s.env.Dir == "" {
		return gitRemote{}, nil
	}
	if s.git == nil {
		found, err := chooseRemote(listRemotes(ctx, s.env.Dir))
		if err != nil {
			return gitRemote{}, err
		}
		s.git = &found
	}
	return *s.git, nil
}

// listRemotes returns the remotes of the repository around dir; none where there is
// no repository, or no git.
func listRemotes(ctx context.Context, dir string) []remoteURL {
	cmd := exec.CommandContext(ctx, "git", "config", "-z", "--get-regexp", `^remote\..*\.url$`)
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return nil
	}
	var list []remoteURL
	for record := range strings.SplitSeq(string(out), "\x00") {
		key, url, _ := strings.Cut(record, "\n")
		name := strings.TrimSuffix(strings.TrimPrefix(key, "remote."), ".url")
		list = append(list, remoteURL{name: name, url: url})
	}
	return list
}

// chooseRemote returns the remote called octo, else the only one that leads to an
// octohost. Where several do, one must be named.
func chooseRemote(list []remoteURL) (gitRemote, error) {
	var found []gitRemote
	var names []string
	for _, r := range list {
		remote, ok := parseGitURL(r.url)
		if ok && r.name == "octo" {
			return remote, nil
		}
		if ok && remote.host.User == defaultUser {
			found, names = append(found, remote), append(names, r.name)
		}
	}
	switch len(found) {
	case 0:
		return gitRemote{}, nil
	case 1:
		return found[0], nil
	}
	return gitRemote{}, usage("choose with -a APP --host ssh://…, or name one of them octo: git remote rename "+clean(names[0])+" octo",
		"this directory is pushed to several octohosts (%s)", strings.Join(names, ", "))
}

// parseGitURL reads where a remote leads: ssh://user@host[:port]/app, or
// user@host:app.
func parseGitURL(text string) (gitRemote, bool) {
	h, path, why := host{}, "", ""
	if strings.Contains(text, "://") {
		h, path, why = parseSSHURL(text)
	} else {
		h, path, why = parseSCP(text)
	}
	if why != "" {
		return gitRemote{}, false
	}
	app, err := octo.ParseName(strings.TrimSuffix(strings.Trim(path, "/"), ".git"))
	return gitRemote{host: h, app: app}, err == nil
}

// parseSCP reads user@host:path.
func parseSCP(text string) (h host, path, why string) {
	user, rest, ok := strings.Cut(text, "@")
	if !ok {
		return host{}, "", "it has no user"
	}
	if inner, bracketed := strings.CutPrefix(rest, "["); bracketed {
		h.Name, path, ok = strings.Cut(inner, "]:")
	} else {
		h.Name, path, ok = strings.Cut(rest, ":")
	}
	if !ok {
		return host{}, "", "it has no path"
	}
	h.User = user
	return h, path, h.bad()
}
