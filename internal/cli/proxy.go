package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/octohost/octohost/internal/octo"
)

type proxyCommand struct{ s *session }

func newProxyCommand(s *session) *cobra.Command {
	c := &proxyCommand{s: s}
	cmd := &cobra.Command{
		Use:               "proxy [APP]",
		Short:             "Show what the proxy grants an app",
		Long:              "Show what the proxy grants an app: what holds, whether that was set for this app,\nand the most that may be set.",
		Example:           "  octo proxy hello\n  octo proxy -a hello --json",
		Args:              atMost(1),
		ValidArgsFunction: s.completeApp,
		RunE:              c.run,
	}
	jsonOf[octo.EdgeStatus](cmd, "an object")
	return cmd
}

func (c *proxyCommand) run(cmd *cobra.Command, args []string) error {
	client, name, err := c.s.about(cmd.Context(), args)
	if err != nil {
		return err
	}
	status, err := client.Edge(cmd.Context(), name)
	if err != nil {
		return err
	}
	return c.print(status)
}

func (c *proxyCommand) print(s octo.EdgeStatus) error {
	if c.s.json {
		return c.s.printJSON(s)
	}
	t := table{head: []string{"SETTING", "VALUE", "SOURCE", "MOST"}}
	row := func(name, value, most string, set bool) {
		source := "default"
		if set {
			source = "set"
		}
		t.add(name, value, source, most)
	}
	row("timeout", patience(s.Holds.Timeout), patience(s.Most.Timeout), s.Set.Timeout != 0)
	row("body", limit(s.Holds.Body), limit(s.Most.Body), s.Set.Body != 0)
	row("idle", patience(s.Holds.Idle), patience(s.Most.Idle), s.Set.Idle != 0)
	return t.write(c.s.env.Out, c.s.outStyle())
}

// patience returns a limit of time; zero is none.
func patience(d octo.Duration) string {
	if d == 0 {
		return "no limit"
	}
	return d.Std().String()
}

// limit returns a limit of size; zero is none.
func limit(n octo.Size) string {
	if n == 0 {
		return "no limit"
	}
	return n.String()
}

type proxySetCommand struct{ proxyCommand }

func newProxySetCommand(s *session) *cobra.Command {
	c := &proxySetCommand{proxyCommand{s}}
	cmd := &cobra.Command{
		Use:   "proxy:set SETTING=VALUE…",
		Short: "Set what the proxy grants an app",
		Long: `Set what the proxy grants an app, from the next request on.

  timeout  how long the app may take to begin its answer; then visitors get 504
  body     how large the body of a request may be; then visitors get 413
  idle     how long an answer or a WebSocket may be silent before it is cut

The value "default" goes back to what holds for all apps.`,
		Example: `  octo proxy:set timeout=5m body=100m -a hello
  octo proxy set idle=90s timeout=default -a hello --json`,
		Args:              between(1, 3),
		ValidArgsFunction: completeProxySettings,
		RunE:              c.run,
	}
	jsonOf[octo.EdgeStatus](cmd, "an object")
	return cmd
}

func completeProxySettings(*cobra.Command, []string, string) ([]cobra.Completion, cobra.ShellCompDirective) {
	return []cobra.Completion{"timeout=", "body=", "idle="}, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
}

func (c *proxySetCommand) run(cmd *cobra.Command, args []string) error {
	change, err := parseProxySettings(args)
	if err != nil {
		return err
	}
	client, name, err := c.s.about(cmd.Context(), nil)
	if err != nil {
		return err
	}
	status, err := client.SetEdge(cmd.Context(), name, change)
	if err != nil {
		return err
	}
	return c.print(status)
}

// parseProxySettings reads "timeout=5m body=default".
func parseProxySettings(args []string) (octo.EdgeChange, error) {
	var change octo.EdgeChange
	for _, arg := range args {
		name, value, ok := strings.Cut(arg, "=")
		if !ok {
			return change, usage("for example: octo proxy:set timeout=5m", "%.40q has no value", arg)
		}
		var err error
		switch name {
		case "timeout":
			change.Timeout, err = proxyValue[octo.Duration](value)
		case "body":
			change.Body, err = proxyValue[octo.Size](value)
		case "idle":
			change.Idle, err = proxyValue[octo.Duration](value)
		default:
			return change, usage("there are timeout, body and idle", "the proxy has no setting %.40q", name)
		}
		if err != nil {
			return change, usageError{err}
		}
	}
	return change, nil
}

// proxyValue reads a value; zero stands for the default, and nobody may write it so.
func proxyValue[T ~int64, P interface {
	*T
	UnmarshalText([]byte) error
}](text string) (*T, error) {
	v := P(new(T))
	if text == "default" {
		return v, nil
	}
	if err := v.UnmarshalText([]byte(text)); err != nil {
		return nil, err
	}
	if *v == 0 {
		return nil, octo.Errorf(octo.ErrInvalid, "%s is no limit", text).WithHint("write default for what holds for all apps")
	}
	return v, nil
}

// proxyText sums up what was set, for apps:info.
func proxyText(e octo.Edge) string {
	change := octo.EdgeChange{}
	if e.Timeout != 0 {
		change.Timeout = &e.Timeout
	}
	if e.Body != 0 {
		change.Body = &e.Body
	}
	if e.Idle != 0 {
		change.Idle = &e.Idle
	}
	return fmt.Sprint(change)
}
