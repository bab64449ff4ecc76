package git

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/octohost/octohost/internal/octo"
)

// maxCommands is how many refs one push may name.
const maxCommands = 10_000

// request is what git tells a proc-receive hook (githooks(5)).
type request struct {
	atomic   bool
	commands []command
	options  []string
}

// command is the wish to move a ref from one object to another.
type command struct{ old, new, ref string }

// answer speaks git's side of the proc-receive protocol with a hook.
func (r *Repos) answer(p *push, in *bufio.Reader, conn io.Writer) error {
	out := newOutput(conn)
	req, err := readRequest(in, out)
	if err != nil {
		return errors.Join(err, out.close())
	}
	verdicts := r.decide(p, req, out)
	p.settle() // from here on only the client's reading can take time
	out.answer(verdicts)
	return out.close()
}

// readRequest agrees on the protocol's version and reads what is wanted.
func readRequest(in *bufio.Reader, out *output) (request, error) {
	var req request
	hello, err := readList(in, 1)
	if err != nil {
		return req, fmt.Errorf("read the version of the hook's protocol: %w", err)
	}
	version, features, _ := strings.Cut(strings.Join(hello, ""), "\x00")
	if version != "version=1" {
		return req, fmt.Errorf("git speaks %q of the hook's protocol", version)
	}
	asked := strings.Fields(features)
	req.atomic = slices.Contains(asked, "atomic")
	agreed := "version=1"
	if slices.Contains(asked, "push-options") {
		agreed += "\x00push-options"
	}
	out.send(appendFlush(appendPkt(nil, agreed)))
	commands, err := readList(in, maxCommands)
	if err != nil {
		return req, fmt.Errorf("read what is pushed: %w", err)
	}
	for _, c := range commands {
		parsed, err := parseCommand(c)
		if err != nil {
			return req, err
		}
		req.commands = append(req.commands, parsed)
	}
	if strings.HasSuffix(agreed, "push-options") {
		if req.options, err = readList(in, maxCommands); err != nil {
			return req, fmt.Errorf("read push options: %w", err)
		}
	}
	return req, nil
}

func parseCommand(line string) (command, error) {
	old, rest, _ := strings.Cut(line, " ")
	id, ref, _ := strings.Cut(rest, " ")
	if !isObject(old) || !isObject(id) || !strings.HasPrefix(ref, "refs/") {
		return command{}, fmt.Errorf("git asks for %q", oneLine(line))
	}
	return command{old, id, ref}, nil
}

// decide deploys the branch that deploys, and refuses everything else. There is a
// verdict for every command.
func (r *Repos) decide(p *push, req request, out io.Writer) []verdict {
	branch, err := r.cfg.Branch(r.base, p.app)
	if err != nil {
		return refuseAll(req, "cannot find out which branch deploys: "+reason(err))
	}
	verdicts, chosen := judge(branch, req)
	if chosen < 0 {
		return verdicts
	}
	if err := r.deploy(p, req.commands[chosen], req.options, out); err != nil {
		verdicts[chosen].reason = "deploy failed: " + reason(err)
	}
	return verdicts
}

// deploy deploys one branch and moves its ref, both or none. The ref is locked, and
// its old value and the new commit are checked, before anything is built.
func (r *Repos) deploy(p *push, c command, options []string, out io.Writer) error {
	move, err := r.startMove(p.app, c)
	if err != nil {
		return err
	}
	branch := strings.TrimPrefix(c.ref, branchPrefix)
	err = r.cfg.Deploy(r.base, octo.Push{
		App: p.app, Branch: branch, Old: c.old, New: c.new, User: p.who.User, Who: p.who, Options: options,
	}, out)
	if err != nil {
		if aerr := move.abort(); aerr != nil {
			r.log.Warn("cannot take back the move of a ref", "app", p.app, "err", aerr)
		}
		return err
	}
	if err := move.commit(); err != nil {
		r.log.Error("deployed, but cannot move the branch", "app", p.app, "err", err)
		return fmt.Errorf("it is live, but the branch could not be moved: %w", err)
	}
	if err := r.setHead(context.WithoutCancel(r.base), p.app, c.ref); err != nil {
		r.log.Warn("cannot make the branch the one to clone", "app", p.app, "err", err)
	}
	return nil
}

// reason says in one line why a deploy failed; how to mend it has been printed.
func reason(err error) string {
	var e *octo.Error
	if errors.As(err, &e) {
		first, _, _ := strings.Cut(e.Message, "\n")
		return oneLine(first)
	}
	return oneLine(err.Error())
}
