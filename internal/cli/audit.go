package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/octohost/octohost/internal/api"
	"github.com/octohost/octohost/internal/octo"
)

type auditCommand struct {
	s    *session
	user string
	streamFlags
}

func newAuditCommand(s *session) *cobra.Command {
	c := &auditCommand{s: s}
	cmd := &cobra.Command{
		Use:   "audit",
		Short: "Show who did what, and who was refused",
		Long: `Show who did what, from where, and with what result: all changes, refusals, pushes,
clones, and looks at the values of a configuration. An admin sees everything, the owner
of an app what concerns it, everybody what they did themselves.`,
		Example:           "  octo audit\n  octo audit -a hello --user ann -n 20\n  octo audit --since 2h --json",
		Args:              exactly(0),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              c.run,
	}
	c.add(cmd, "records")
	cmd.Flags().StringVar(&c.user, "user", "", "only what this user did")
	jsonOf[octo.Audit](cmd, "an object on each line")
	return cmd
}

func (c *auditCommand) run(cmd *cobra.Command, _ []string) error {
	ctx := cmd.Context()
	last, since, err := c.selected(cmd, c.s.env.Now())
	if err != nil {
		return err
	}
	app, err := c.s.namedApp()
	if err != nil {
		return err
	}
	client, err := c.s.open(ctx)
	if err != nil {
		return err
	}
	q := octo.AuditQuery{App: app, User: c.user, Tail: last, Since: since, Follow: c.follow}
	err = printStream(ctx, c.s, client.Audit(ctx, q), c.print)
	if app != "" && errors.Is(err, octo.ErrNotFound) {
		return c.gone(ctx, client, q, err)
	}
	return err
}

// gone shows what there is of an app that is not there any more; unknown is the answer
// where that is nothing.
func (c *auditCommand) gone(ctx context.Context, client *api.Client, q octo.AuditQuery, unknown error) error {
	app := q.App
	q.App, q.Follow = "", false
	some := false
	all := client.Audit(ctx, q)
	of := iter.Seq2[octo.Audit, error](func(yield func(octo.Audit, error) bool) {
		for a, err := range all {
			refused := a.Result == octo.ResultOf(octo.ErrNotFound) || a.Result == octo.ResultOf(octo.ErrDenied)
			if err == nil && (a.App != app || refused) {
				continue // a question about an app that never was is a refusal, too
			}
			some = true
			if !yield(a, err) {
				return
			}
		}
	})
	if err := printStream(ctx, c.s, of, c.print); err != nil {
		return err
	}
	if !some {
		return unknown
	}
	return nil
}

func (c *auditCommand) print(w io.Writer, a octo.Audit) error {
	st := c.s.outStyle()
	result := string(a.Result)
	if a.Error != "" {
		result += ": " + a.Error
	}
	if a.Missed > 0 {
		result += fmt.Sprintf(" (and %d more before)", a.Missed)
	}
	_, err := fmt.Fprintf(w, "%s %-16s %-15s %s %s %s\n", a.Time.UTC().Format(time.RFC3339), shown(a.User), shown(a.From),
		clean(deed(a)), st.paint(auditColor(a.Result), clean(result)), st.paint(dim, a.Took.Std().Round(time.Millisecond).String()))
	return err
}

func auditColor(result octo.AuditResult) color {
	switch result {
	case octo.AuditOK:
		return green
	case octo.AuditBegun, octo.AuditLeft:
		return yellow
	}
	return red
}

// deed says what was done: "PUT apps/hello/access/bob role=viewer".
func deed(a octo.Audit) string {
	detail := maps.Clone(a.Detail)
	what := strings.Replace(a.What, " /v1/", " ", 1)
	for name, value := range a.Detail {
		if filled := strings.ReplaceAll(what, "{"+name+"}", value); filled != what {
			what = filled
			delete(detail, name)
		}
	}
	if filled := strings.ReplaceAll(what, "{app}", string(a.App)); filled != what {
		what = filled
	} else if a.App != "" {
		what += " " + string(a.App)
	}
	for _, name := range slices.Sorted(maps.Keys(detail)) {
		value := detail[name]
		if strings.ContainsAny(value, " =\"") {
			value = strconv.Quote(value)
		}
		what += " " + name + "=" + value
	}
	return what
}
