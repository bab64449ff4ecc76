package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/octohost/octohost/internal/api"
	"github.com/octohost/octohost/internal/octo"
)

// formationChange is what the commands have in common that change what runs.
type formationChange struct{ s *session }

// send asks for the change, and returns what there is afterwards.
func (c formationChange) send(ctx context.Context, edit octo.FormationEdit) (octo.AppStatus, []octo.ProcessStatus, error) {
	client, name, err := c.s.about(ctx, nil)
	if err != nil {
		return octo.AppStatus{}, nil, err
	}
	if err := client.ChangeFormation(ctx, name, edit, c.s.progressWriter()); err != nil {
		if ctx.Err() != nil {
			c.s.progress("what was begun goes on; see: octo releases -a %s", name)
		}
		return octo.AppStatus{}, nil, err
	}
	app, err := client.App(ctx, name)
	if err != nil {
		return app, nil, err
	}
	processes, err := client.Processes(ctx, name)
	return app, processes, err
}

// sendAndCount is send for a change of how many instances run.
func (c formationChange) sendAndCount(ctx context.Context, edit octo.FormationEdit) error {
	_, processes, err := c.send(ctx, edit)
	if err != nil {
		return err
	}
	if c.s.json {
		return c.s.printJSON(processes)
	}
	return c.s.printCounts(processes)
}

// printCounts prints how many instances of each process are wanted: "web=2 worker=0".
func (s *session) printCounts(processes []octo.ProcessStatus) error {
	if len(processes) == 0 {
		return nil // it was kept for the first release, which the progress has said
	}
	parts := make([]string, len(processes))
	for i, p := range processes {
		parts[i] = fmt.Sprintf("%s=%d", p.Name, p.Scale)
		if p.Stopped {
			parts[i] += " (stopped)"
		}
	}
	_, err := fmt.Fprintln(s.env.Out, strings.Join(parts, " "))
	return err
}

// processTable shows the processes of an app.
func processTable(processes []octo.ProcessStatus) *table {
	t := &table{head: []string{"PROCESS", "WANTED", "HEALTHY", "CHECK", "STATE"}}
	for _, p := range processes {
		wanted := fmt.Sprint(p.Scale)
		if p.Singleton {
			wanted += " (singleton)"
		}
		t.addCells(cell{text: string(p.Name)}, cell{text: wanted}, cell{text: fmt.Sprint(p.Healthy)}, cell{text: shortCheck(p)}, processState(p))
	}
	return t
}

// shortCheck is what a table says of a check.
func shortCheck(p octo.ProcessStatus) string {
	switch p.Kind {
	case octo.CheckHTTP:
		return "http " + p.Check.Path
	case octo.CheckTCP:
		return fmt.Sprintf("tcp %d", p.Port)
	case octo.CheckCmd, octo.CheckNone:
	}
	return string(p.Kind)
}

func cores(n float64) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("%g", n)
}

// processState sums up how a process is.
func processState(p octo.ProcessStatus) cell {
	switch {
	case p.Stopped:
		return cell{"stopped", dim}
	case p.Count == 0:
		return cell{"not started", dim}
	case p.Healthy >= p.Count:
		return cell{"up", green}
	case p.Healthy > 0:
		return cell{"degraded", yellow}
	}
	return cell{"down", red}
}

// completeProcesses proposes the app's processes for the only argument, with something
// behind them.
func (s *session) completeProcesses(behind string) completer {
	return func(cmd *cobra.Command, args []string, _ string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(args) > 0 && behind == "" {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		found, directive := s.askOf(cmd, func(ctx context.Context, client *api.Client, app octo.Name) ([]cobra.Completion, error) {
			processes, err := client.Processes(ctx, app)
			var names []cobra.Completion
			for _, p := range processes {
				names = append(names, string(p.Name)+behind)
			}
			return names, err
		})
		if behind != "" {
			directive |= cobra.ShellCompDirectiveNoSpace
		}
		return found, directive
	}
}
