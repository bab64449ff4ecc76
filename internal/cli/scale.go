package cli

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/octohost/octohost/internal/octo"
)

type psScaleCommand struct{ formationChange }

func newPsScaleCommand(s *session) *cobra.Command {
	c := &psScaleCommand{formationChange{s}}
	cmd := &cobra.Command{
		Use:   "ps:scale [PROCESS=N…]",
		Short: "Say how many instances of each process run",
		Long: `Say how many instances of each process run; without arguments, show how many do.

+N and -N are so many more or fewer. Instances that are not concerned go on running.`,
		Example:           "  octo ps:scale web=2 worker=1 -a hello\n  octo ps:scale web=+1 -a hello\n  octo ps scale -a hello",
		Args:              atMost(maxScales),
		ValidArgsFunction: s.completeProcesses("="),
		RunE:              c.run,
	}
	jsonOf[octo.ProcessStatus](cmd, "a list of objects")
	return cmd
}

// maxScales is how many processes can be scaled at once: as many as an app can have.
const maxScales = 50

func (c *psScaleCommand) run(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return c.show(cmd)
	}
	var edit octo.FormationEdit
	for _, arg := range args {
		s, err := octo.ParseScale(arg)
		if err != nil {
			return usageError{err}
		}
		edit.Scale = append(edit.Scale, s)
	}
	if err := edit.Check(); err != nil {
		return usageError{err}
	}
	return c.sendAndCount(cmd.Context(), edit)
}

func (c *psScaleCommand) show(cmd *cobra.Command) error {
	client, name, err := c.s.about(cmd.Context(), nil)
	if err != nil {
		return err
	}
	processes, err := client.Processes(cmd.Context(), name)
	if err != nil {
		return err
	}
	if c.s.json {
		return c.s.printJSON(processes)
	}
	if len(processes) == 0 {
		c.s.progress("%s has no releases yet; make one with: git push", name)
	}
	return c.s.printCounts(processes)
}

type psVerbCommand struct {
	formationChange
	verb octo.FormationVerb
}

func newPsRestartCommand(s *session) *cobra.Command {
	return newPsVerbCommand(s, octo.FormationRestart, "Replace running instances by fresh ones",
		`Replace running instances by fresh ones, of all processes or of one.

They are replaced one by one, as in a deploy: new ones serve before old ones go, and no
request is lost.`)
}

func newPsStopCommand(s *session) *cobra.Command {
	return newPsVerbCommand(s, octo.FormationStop, "Let no instance run",
		`Let no instance run, of all processes or of one, until octo ps:start. Pushes are taken
meanwhile, but start nothing of what is stopped.`)
}

func newPsStartCommand(s *session) *cobra.Command {
	return newPsVerbCommand(s, octo.FormationStart, "Let stopped processes run again",
		"Let stopped processes run again, all of them or one, as many instances as before.")
}

func newPsVerbCommand(s *session, verb octo.FormationVerb, short, long string) *cobra.Command {
	c := &psVerbCommand{formationChange{s}, verb}
	name := "ps:" + string(verb)
	cmd := &cobra.Command{
		Use:               name + " [PROCESS]",
		Short:             short,
		Long:              long,
		Example:           fmt.Sprintf("  octo %s -a hello\n  octo ps %s web -a hello", name, verb),
		Args:              atMost(1),
		ValidArgsFunction: s.completeProcesses(""),
		RunE:              c.run,
	}
	jsonOf[octo.ProcessStatus](cmd, "a list of objects")
	return cmd
}

func (c *psVerbCommand) run(cmd *cobra.Command, args []string) error {
	edit := octo.FormationEdit{Do: c.verb}
	if len(args) > 0 {
		var err error
		if edit.Process, err = octo.ParseName(args[0]); err != nil {
			return usageError{err}
		}
	}
	if c.verb != octo.FormationRestart {
		return c.sendAndCount(cmd.Context(), edit)
	}
	app, processes, err := c.send(cmd.Context(), edit)
	if err != nil {
		return err
	}
	if c.s.json {
		return c.s.printJSON(processes)
	}
	_, err = fmt.Fprintf(c.s.env.Out, "%s %s is live\n", app.Name, version(app.Release))
	return err
}
