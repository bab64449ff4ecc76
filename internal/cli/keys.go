package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/octohost/octohost/internal/api"
	"github.com/octohost/octohost/internal/octo"
)

type keysCommand struct{ s *session }

func newKeysCommand(s *session) *cobra.Command {
	c := &keysCommand{s: s}
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "List SSH keys: whom they admit, and for how long",
		Long: `List the SSH keys that are admitted: an admin sees all, others see their own and the
deploy keys of apps that are theirs. With -a: the deploy keys of that app.`,
		Example:           "  octo keys\n  octo keys -a hello\n  octo keys --json",
		Args:              exactly(0),
		ValidArgsFunction: completeWords,
		RunE:              c.run,
	}
	jsonOf[octo.Key](cmd, "a list of objects")
	return cmd
}

func (c *keysCommand) run(cmd *cobra.Command, _ []string) error {
	app, err := c.s.namedApp()
	if err != nil {
		return err
	}
	client, err := c.s.open(cmd.Context())
	if err != nil {
		return err
	}
	list := client.Keys
	if app != "" {
		list = func(ctx context.Context) ([]octo.Key, error) { return client.DeployKeys(ctx, app) }
	}
	keys, err := list(cmd.Context())
	if err != nil {
		return err
	}
	if c.s.json {
		return c.s.printJSON(keys)
	}
	if len(keys) == 0 {
		c.s.progress("no keys yet; admit one with: octo keys:add FILE")
		return nil
	}
	now := c.s.env.Now()
	t := table{head: []string{"FINGERPRINT", "USER", "KIND", "ADDED", "EXPIRES", "COMMENT"}}
	for _, k := range keys {
		t.addCells(cell{text: k.Fingerprint}, cell{text: k.User}, cell{text: keyKind(k)}, cell{text: ago(now, k.Added)}, expiryCell(now, k), cell{text: k.Comment})
	}
	return t.write(c.s.env.Out, c.s.outStyle())
}

// namedApp returns the app that -a names. The directory does not count here: keys are
// not an app's, as a rule.
func (s *session) namedApp() (octo.Name, error) {
	if s.app == "" {
		return "", nil
	}
	app, err := octo.ParseName(s.app)
	if err != nil {
		return "", usageError{err}
	}
	return app, nil
}

// keyKind says what a key opens.
func keyKind(k octo.Key) string {
	switch {
	case k.App != "":
		return "deploy " + string(k.App)
	case k.Admin:
		return "admin"
	}
	return "user"
}

// expiryCell says when a key ends to open anything: "in 3d".
func expiryCell(now time.Time, k octo.Key) cell {
	switch {
	case k.Expires.IsZero():
		return cell{}
	case k.Expired(now):
		return cell{"expired", red}
	}
	return cell{text: "in " + age(k.Expires, now)}
}

type keysInfoCommand struct{ s *session }

func newKeysInfoCommand(s *session) *cobra.Command {
	c := &keysInfoCommand{s: s}
	cmd := &cobra.Command{
		Use:               "keys:info FINGERPRINT",
		Short:             "Show an SSH key",
		Example:           "  octo keys:info SHA256:nThbg6kXUpJWGl7E1IGOCspRomTxdCARLviKw6E5SY8",
		Args:              exactly(1),
		ValidArgsFunction: s.completeKeys,
		RunE:              c.run,
	}
	jsonOf[octo.Key](cmd, "an object")
	return cmd
}

func (c *keysInfoCommand) run(cmd *cobra.Command, args []string) error {
	client, err := c.s.open(cmd.Context())
	if err != nil {
		return err
	}
	k, err := findKey(cmd.Context(), client, args[0])
	if err != nil {
		return err
	}
	if c.s.json {
		return c.s.printJSON(k)
	}
	t, now := table{}, c.s.env.Now()
	t.addCells(cell{text: "fingerprint"}, cell{k.Fingerprint, bold})
	t.add("user", k.User)
	t.add("kind", keyKind(k))
	t.add("added", moment(now, k.Added))
	if !k.Expires.IsZero() {
		when := expiryCell(now, k)
		when.text = k.Expires.UTC().Format(time.RFC3339) + " (" + when.text + ")"
		t.addCells(cell{text: "expires"}, when)
	}
	t.add("comment", k.Comment)
	t.add("public", k.Public)
	return t.write(c.s.env.Out, c.s.outStyle())
}

// findKey returns the key with a fingerprint among those that the person may see.
func findKey(ctx context.Context, client *api.Client, fingerprint string) (octo.Key, error) {
	if err := checkFingerprint(fingerprint); err != nil {
		return octo.Key{}, err
	}
	keys, err := client.Keys(ctx)
	if err != nil {
		return octo.Key{}, err
	}
	i := slices.IndexFunc(keys, func(k octo.Key) bool { return k.Fingerprint == fingerprint })
	if i < 0 {
		return octo.Key{}, octo.Errorf(octo.ErrNotFound, "no key %.80s", fingerprint).WithHint("list them with: octo keys")
	}
	return keys[i], nil
}

func checkFingerprint(text string) error {
	if !strings.HasPrefix(text, "SHA256:") {
		return usage("list them with: octo keys", "%.60q is not a fingerprint: those begin with SHA256:", text)
	}
	return nil
}

type keysRemoveCommand struct {
	s    *session
	user string
}

func newKeysRemoveCommand(s *session) *cobra.Command {
	c := &keysRemoveCommand{s: s}
	cmd := &cobra.Command{
		Use:   "keys:remove FINGERPRINT…",
		Short: "Admit a key no longer",
		Long: `Admit keys no longer; what is under way with them ends. With --user: all keys of
somebody who leaves. What they may do with apps stays written down until it is taken
away too: see octo users.`,
		Example:           "  octo keys:remove SHA256:nThbg6kXUpJWGl7E1IGOCspRomTxdCARLviKw6E5SY8\n  octo keys:remove --user carol",
		Args:              between(0, maxRemoved),
		ValidArgsFunction: s.completeKeys,
		RunE:              c.run,
	}
	cmd.Flags().StringVar(&c.user, "user", "", "all keys of this user")
	return cmd
}

// maxRemoved is how many keys can be named at once.
const maxRemoved = 100

func (c *keysRemoveCommand) run(cmd *cobra.Command, args []string) error {
	if (len(args) == 0) == (c.user == "") {
		return usage("octo keys:remove FINGERPRINT, or octo keys:remove --user NAME", "which key?")
	}
	for _, print := range args {
		if err := checkFingerprint(print); err != nil {
			return err
		}
	}
	client, err := c.s.open(cmd.Context())
	if err != nil {
		return err
	}
	keys, err := client.Keys(cmd.Context())
	if err != nil {
		return err
	}
	gone, err := c.choose(keys, args)
	if err != nil {
		return err
	}
	for _, k := range gone {
		if err := client.RemoveKey(cmd.Context(), k.App, k.Fingerprint); err != nil {
			return err
		}
		if _, err := fmt.Fprintf(c.s.env.Out, "removed %s\n", k.Fingerprint); err != nil {
			return err
		}
	}
	return nil
}

// choose returns those of the keys that are meant.
func (c *keysRemoveCommand) choose(keys []octo.Key, args []string) ([]octo.Key, error) {
	if c.user != "" {
		gone := slices.DeleteFunc(slices.Clone(keys), func(k octo.Key) bool { return k.User != c.user })
		if len(gone) == 0 {
			return nil, octo.Errorf(octo.ErrNotFound, "%.64s has no key", c.user).WithHint("list them with: octo keys")
		}
		return gone, nil
	}
	var gone []octo.Key
	for _, print := range args {
		i := slices.IndexFunc(keys, func(k octo.Key) bool { return k.Fingerprint == print })
		if i < 0 {
			return nil, octo.Errorf(octo.ErrNotFound, "no key %.80s", print).WithHint("list them with: octo keys")
		}
		gone = append(gone, keys[i])
	}
	return gone, nil
}
