package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/octohost/octohost/internal/octo"
)

type doctorCommand struct {
	s     *session
	flags ServeFlags // of the daemon that is meant
}

func newDoctorCommand(s *session) *cobra.Command {
	c := &doctorCommand{s: s}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look for what is wrong, and say how to mend it",
		Long: `Look for what is wrong with the machine, and say how to mend it.

Where no daemon answers, this machine is looked at. If octo serve was started with
--config or --data, say the same here. The exit code is 1 when there is a problem;
warnings do not count.`,
		Example:           "  octo doctor\n  octo doctor --json",
		Args:              exactly(0),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              c.run,
	}
	if !s.inProcess {
		cmd.Flags().StringVar(&c.flags.Config, "config", "", "the configuration file that octo serve was started with")
		cmd.Flags().StringVar(&c.flags.Data, "data", "", "the data directory that octo serve was started with")
	}
	jsonOf[octo.Finding](cmd, "a list of objects")
	return cmd
}

func (c *doctorCommand) run(cmd *cobra.Command, _ []string) error {
	found, err := c.look(cmd.Context())
	if err != nil {
		return err
	}
	if c.s.json {
		err = c.s.printJSON(found)
	} else {
		err = c.print(found)
	}
	for _, f := range found {
		if err == nil && f.Level == octo.FindingProblem {
			err = exitError(exitFailed)
		}
	}
	return err
}

// look asks the daemon, and looks at this machine itself where none answers.
func (c *doctorCommand) look(ctx context.Context) ([]octo.Finding, error) {
	if err := c.aim(); err != nil {
		return nil, err
	}
	client, err := c.s.open(ctx)
	if err != nil {
		return nil, err
	}
	found, err := client.Doctor(ctx)
	at, where := c.s.place(ctx)
	if c.s.inProcess || where != nil || at.host.Name != "" || !errors.Is(err, octo.ErrUnavailable) {
		return found, err
	}
	if c.s.env.Doctor != nil {
		return c.s.env.Doctor(ctx, c.flags), nil
	}
	gone := octo.Finding{Check: "daemon", Level: octo.FindingProblem, Message: err.Error()}
	var told *octo.Error
	if errors.As(err, &told) {
		gone.Message, gone.Remedy = told.Message, told.Hint
	}
	return []octo.Finding{gone}, nil
}

// aim makes the session ask the daemon that the flags are of.
func (c *doctorCommand) aim() (err error) {
	switch {
	case c.flags == ServeFlags{}:
		return nil
	case c.s.host != "" || c.s.socket != "":
		return usage("leave one of them out", "--config and --data are of an octohost on this machine, and --host and --socket name another")
	case c.s.env.Socket == nil:
		return octo.Errorf(octo.ErrUnavailable, "this octo is only a client").WithHint("run it on the octohost, or name that with --host")
	}
	c.s.socket, err = c.s.env.Socket(c.flags)
	return err
}

func (c *doctorCommand) print(found []octo.Finding) error {
	var b strings.Builder
	st := c.s.outStyle()
	problems, warnings := 0, 0
	for _, f := range found {
		mark := st.paint(green, "✓")
		switch f.Level {
		case octo.FindingOK:
		case octo.FindingWarning:
			mark = st.paint(yellow, "!")
			warnings++
		default:
			mark = st.paint(red, "✗")
			problems++
		}
		fmt.Fprintf(&b, "%s %-10s %s\n", mark, clean(f.Check), clean(f.Message))
		if f.Remedy != "" && f.Level != octo.FindingOK {
			fmt.Fprintf(&b, "  %-10s → %s\n", "", clean(f.Remedy))
		}
	}
	if _, err := c.s.env.Out.Write([]byte(b.String())); err != nil {
		return err
	}
	c.s.progress("%s, %s", plural(problems, "problem"), plural(warnings, "warning"))
	return nil
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}
