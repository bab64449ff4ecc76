package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/octohost/octohost/internal/dotenv"
	"github.com/octohost/octohost/internal/octo"
)

type configEditCommand struct{ configChange }

func newConfigEditCommand(s *session) *cobra.Command {
	c := &configEditCommand{configChange{s: s}}
	cmd := &cobra.Command{
		Use:   "config:edit [APP]",
		Short: "Edit the environment variables in your editor, and roll them out",
		Long: `Edit the environment variables in your editor ($VISUAL or $EDITOR), and roll out what
has changed in one new release. Lines that are removed are unset.

They are in a file that only you can read, in memory where there is such a place, and
removed when the editor ends, however it does.`,
		Example:           "  octo config:edit -a hello\n  octo config:edit hello --no-restart",
		Args:              atMost(1),
		ValidArgsFunction: s.completeApp,
		RunE:              c.run,
	}
	c.flags(cmd)
	return cmd
}

func (c *configEditCommand) run(cmd *cobra.Command, args []string) error {
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGHUP) // the terminal may be closed
	defer stop()
	client, app, err := c.s.about(ctx, args)
	if err != nil {
		return err
	}
	if _, err := client.Config(ctx, app, octo.ConfigRef{}); err != nil { // no app is the first thing to know
		return err
	}
	if c.s.inProcess || !c.s.env.InTerminal || !c.s.env.OutTerminal {
		hint := fmt.Sprintf("octo config:export -a %s > FILE, edit it, then octo config:import FILE -a %s", app, app)
		return usage(hint, "an editor needs a terminal of this machine")
	}
	view, err := client.ConfigValues(ctx, app, octo.ConfigRef{})
	if err != nil {
		return err
	}
	edited, err := c.edit(ctx, app, view.Config())
	if err != nil {
		return err
	}
	changes := octo.ConfigChanges(view.Config(), edited)
	if changes.String() == "" {
		c.s.progress("Nothing to change")
		return nil
	}
	edit := octo.ConfigEdit{Set: octo.Config{}, Unset: changes.Unset}
	for _, name := range changes.Set {
		edit.Set[name] = edited[name]
	}
	return c.sendOn(ctx, app, view, edit)
}

// sendOn asks for a change that was made on view. Where somebody else has changed
// other variables since, it is made on theirs; where the same, the person decides.
func (c *configEditCommand) sendOn(ctx context.Context, app octo.Name, view octo.ConfigView, edit octo.ConfigEdit) error {
	for {
		edit.Base = &view.Version
		err := c.send(ctx, app, edit)
		if !errors.Is(err, octo.ErrConflict) {
			return err
		}
		now, err2 := c.s.client.ConfigValues(ctx, app, octo.ConfigRef{})
		if err2 != nil || now.Version == view.Version {
			return err // it was about something else
		}
		theirs, ours := octo.ConfigChanges(view.Config(), now.Config()), edit.Names()
		mine := slices.Concat(ours.Set, ours.Unset)
		for _, name := range slices.Concat(theirs.Set, theirs.Unset) {
			if slices.Contains(mine, name) {
				return octo.Errorf(octo.ErrConflict, "somebody else has changed %s while you edited it, so nothing is changed", name).
					WithHint("look at it with: octo config:diff %s -a %s --reveal", octo.ConfigName(view.Version), app)
			}
		}
		c.s.progress("somebody else has changed other variables meanwhile (%s); they stay changed", theirs)
		view = now
	}
}

// edit lets the person edit values until they can be read again.
func (c *configEditCommand) edit(ctx context.Context, app octo.Name, values octo.Config) (edited octo.Config, err error) {
	dir, err := os.MkdirTemp(privateDir(c.s.env.Getenv), "octo-config-*") // mode 0700
	if err != nil {
		return nil, fmt.Errorf("make a file to edit: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }() // with what the editor left beside it
	file := filepath.Join(dir, string(app)+".env")
	head := fmt.Sprintf("# The environment of %s: NAME=value, NAME='value' or NAME=\"value\\n\".\n# Variables whose lines you remove are unset. What you save is rolled out.\n\n", app)
	if err := os.WriteFile(file, append([]byte(head), dotenv.Format(values)...), 0o600); err != nil {
		return nil, fmt.Errorf("write a file to edit: %w", err)
	}
	for {
		if err := runEditor(ctx, c.s.env.Getenv, file); err != nil {
			return nil, err
		}
		text, err := os.ReadFile(file) //nolint:gosec // ours
		if err != nil {
			return nil, fmt.Errorf("read what was edited: %w", err)
		}
		edited, err := dotenv.Parse(text)
		if err == nil {
			err = edited.Check()
		}
		if err == nil {
			return edited, nil
		}
		if again, asking := c.again(ctx, err); asking != nil || !again {
			return nil, errors.Join(usageError{err}, asking)
		}
	}
}

// again asks whether the person wants to mend what cannot be read.
func (c *configEditCommand) again(ctx context.Context, wrong error) (bool, error) {
	c.s.question("%s\nEdit it again? [Y/n] ", clean(wrong.Error()))
	answer, err := readLine(ctx, c.s.env.In)
	return err == nil && (answer == "" || answer[0] == 'y' || answer[0] == 'Y'), err
}

// privateDir returns a directory in memory, where there is one; "" means that of
// temporary files.
func privateDir(getenv func(string) string) string {
	for _, dir := range []string{getenv("XDG_RUNTIME_DIR"), "/dev/shm"} {
		if st, err := os.Stat(dir); dir != "" && err == nil && st.IsDir() {
			return dir
		}
	}
	return ""
}

// editorEnd is how long an editor has to end after it was told to.
const editorEnd = 5 * time.Second

// runEditor runs the person's editor on a file, on the terminal that this process has.
func runEditor(ctx context.Context, getenv func(string) string, file string) error {
	text := "vi"
	for _, name := range []string{"EDITOR", "VISUAL"} {
		if value := getenv(name); value != "" {
			text = value
		}
	}
	command, err := octo.Words(text)
	if err != nil || len(command) == 0 {
		return usage("for example: EDITOR=nano", "$EDITOR is not a command: %.60q", text)
	}
	cmd := exec.CommandContext(ctx, command[0], append(command[1:], file)...) //nolint:gosec // the person's own
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = editorEnd
	err = cmd.Run()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, exec.ErrNotFound), errors.Is(err, fs.ErrNotExist):
		return octo.Errorf(octo.ErrNotFound, "there is no editor %s", clean(command[0])).WithHint("name one: EDITOR=nano octo config:edit")
	case err != nil:
		return octo.Errorf(octo.ErrInvalid, "the editor failed (%v), so nothing is changed", err).WithHint("name another: EDITOR=nano octo config:edit")
	}
	return nil
}
