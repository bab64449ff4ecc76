package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/octohost/octohost/internal/api"
	"github.com/octohost/octohost/internal/octo"
)

// self is whom an octohost takes the caller for, as --json prints it.
type self struct {
	octo.Identity
	Expires time.Time `json:"expires,omitzero"`
}

type whoamiCommand struct{ s *session }

func newWhoamiCommand(s *session) *cobra.Command {
	c := &whoamiCommand{s: s}
	cmd := &cobra.Command{
		Use:               "whoami",
		Short:             "Print whom octohost takes you for",
		Example:           "  octo whoami\n  octo whoami --json",
		Args:              exactly(0),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              c.run,
	}
	jsonOf[self](cmd, "an object")
	return cmd
}

func (c *whoamiCommand) run(cmd *cobra.Command, _ []string) error {
	client, err := c.s.open(cmd.Context())
	if err != nil {
		return err
	}
	me, err := c.look(cmd.Context(), client)
	if err != nil {
		return err
	}
	if c.s.json {
		return c.s.printJSON(me)
	}
	_, err = fmt.Fprintln(c.s.env.Out, clean(me.describe()))
	return err
}

func (c *whoamiCommand) look(ctx context.Context, client *api.Client) (self, error) {
	about, err := client.About(ctx)
	if err != nil || about.Key == "" {
		return self{Identity: about.Identity}, err
	}
	keys, err := client.Keys(ctx)
	me := self{Identity: about.Identity}
	for _, k := range keys {
		if k.Fingerprint == me.Key {
			me.Expires = k.Expires
		}
	}
	return me, err
}

// describe says it in words.
func (me self) describe() string {
	as := "a user"
	switch {
	case me.App != "":
		as = "a deploy key of " + string(me.App)
	case me.Admin:
		as = "an admin"
	}
	by := "on this machine"
	if me.Key != "" {
		by = strings.TrimSuffix("by the key "+me.Key+" from "+me.Remote, " from ")
	}
	if !me.Expires.IsZero() {
		by += ", until " + me.Expires.UTC().Format("2006-01-02 15:04 MST")
	}
	return me.User + ", " + as + ", " + by
}
