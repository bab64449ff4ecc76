package cli

import (
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/octohost/octohost/internal/octo"
)

type limitsCommand struct{ s *session }

func newLimitsCommand(s *session) *cobra.Command {
	c := &limitsCommand{s: s}
	cmd := &cobra.Command{
		Use:   "limits [APP]",
		Short: "Show how much each process may use",
		Long: `Show how much one instance of each process may use. SET names the limits that were set
with octo limits:set; the others are those of the code, or the defaults.`,
		Example:           "  octo limits -a hello\n  octo limits hello --json",
		Args:              atMost(1),
		ValidArgsFunction: s.completeApp,
		RunE:              c.run,
	}
	jsonOf[octo.ProcessStatus](cmd, "a list of objects")
	return cmd
}

func (c *limitsCommand) run(cmd *cobra.Command, args []string) error {
	client, name, err := c.s.about(cmd.Context(), args)
	if err != nil {
		return err
	}
	processes, err := client.Processes(cmd.Context(), name)
	if err != nil {
		return err
	}
	if len(processes) == 0 && !c.s.json {
		c.s.progress("%s has no releases yet; make one with: git push", name)
		return nil
	}
	return c.s.printLimits(processes)
}

// printLimits prints the limits of processes.
func (s *session) printLimits(processes []octo.ProcessStatus) error {
	if s.json {
		return s.printJSON(processes)
	}
	if len(processes) == 0 {
		return nil // it was kept for the first release, which the progress has said
	}
	t := &table{head: []string{"PROCESS", "MEMORY", "CPU", "PIDS", "SET"}}
	for _, p := range processes {
		var set []string
		for i, is := range []bool{p.Set.Memory != nil, p.Set.CPU != nil, p.Set.Pids != nil} {
			if is {
				set = append(set, octo.LimitNames()[i])
			}
		}
		t.add(string(p.Name), size(p.Memory), orNone(cores(p.CPU)), strconv.FormatInt(p.Pids, 10), strings.Join(set, ", "))
	}
	return t.write(s.env.Out, s.outStyle())
}

func orNone(text string) string {
	if text == "" {
		return "no limit"
	}
	return text
}

type limitsSetCommand struct{ formationChange }

func newLimitsSetCommand(s *session) *cobra.Command {
	c := &limitsSetCommand{formationChange{s}}
	cmd := &cobra.Command{
		Use:   "limits:set [PROCESS] LIMIT=N…",
		Short: "Say how much each process may use",
		Long: `Say how much one instance of a process may use, or of all processes where none is named.
It goes over what octohost.toml says. Instances that are concerned are replaced, as in
a deploy; the others go on running.

  memory=256m   bytes, with a unit; there is no swap
  cpu=0.5       cores
  pids=100      processes and threads`,
		Example:           "  octo limits:set web memory=256m cpu=0.5 -a hello\n  octo limits set pids=100 -a hello",
		Args:              between(1, 4),
		ValidArgsFunction: s.completeProcesses(""),
		RunE:              c.run,
	}
	jsonOf[octo.ProcessStatus](cmd, "a list of objects")
	return cmd
}

func (c *limitsSetCommand) run(cmd *cobra.Command, args []string) (err error) {
	var edit octo.FormationEdit
	if !strings.Contains(args[0], "=") {
		if edit.Process, err = octo.ParseName(args[0]); err != nil {
			return usageError{err}
		}
		args = args[1:]
	}
	if len(args) == 0 {
		return usage("write for example: octo limits:set "+string(edit.Process)+" memory=256m", "no limit is given")
	}
	if edit.Limits, err = octo.ParseLimits(args...); err != nil {
		return usageError{err}
	}
	_, processes, err := c.send(cmd.Context(), edit)
	if err != nil {
		return err
	}
	return c.s.printLimits(processes)
}

type limitsUnsetCommand struct{ formationChange }

func newLimitsUnsetCommand(s *session) *cobra.Command {
	c := &limitsUnsetCommand{formationChange{s}}
	cmd := &cobra.Command{
		Use:   "limits:unset [PROCESS] [LIMIT…]",
		Short: "Let limits be as the code says again",
		Long: `Let limits be as the code says again: those that are named (memory, cpu, pids), or all;
of one process, or of all.`,
		Example:           "  octo limits:unset web memory -a hello\n  octo limits unset -a hello",
		Args:              between(0, 4),
		ValidArgsFunction: s.completeProcesses(""),
		RunE:              c.run,
	}
	jsonOf[octo.ProcessStatus](cmd, "a list of objects")
	return cmd
}

func (c *limitsUnsetCommand) run(cmd *cobra.Command, args []string) (err error) {
	var edit octo.FormationEdit
	if len(args) > 0 && octo.CheckLimitName(args[0]) != nil {
		if edit.Process, err = octo.ParseName(args[0]); err != nil {
			return usageError{err}
		}
		args = args[1:]
	}
	if edit.Unset = args; len(args) == 0 {
		edit.Unset = octo.LimitNames()
	}
	if err := edit.Check(); err != nil {
		return usageError{err}
	}
	_, processes, err := c.send(cmd.Context(), edit)
	if err != nil {
		return err
	}
	return c.s.printLimits(processes)
}
