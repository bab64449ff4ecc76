package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/octohost/octohost/internal/octo"
)

type keysCommand struct{ s *session }

func newKeysCommand(s *session) *cobra.Command {
	c := &keysCommand{s: s}
	cmd := &cobra.Command{
		Use:               "keys",
		Short:             "List the SSH keys that are admitted",
		Example:           "  octo keys\n  octo keys --json",
		Args:              exactly(0),
		ValidArgsFunction: completeWords,
		RunE:              c.run,
	}
	jsonOf[octo.Key](cmd, "a list of objects")
	return cmd
}

func (c *keysCommand) run(cmd *cobra.Command, _ []string) error {
	client, err := c.s.open(cmd.Context())
	if err != nil {
		return err
	}
	keys, err := client.Keys(cmd.Context())
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
	t := table{head: []string{"FINGERPRINT", "USER", "ADMIN", "ADDED", "COMMENT"}}
	for _, k := range keys {
		t.add(k.Fingerprint, k.User, yes(k.Admin), ago(c.s.env.Now(), k.Added), k.Comment)
	}
	return t.write(c.s.env.Out, c.s.outStyle())
}

type keysAddCommand struct {
	s     *session
	user  string
	admin bool
}

func newKeysAddCommand(s *session) *cobra.Command {
	c := &keysAddCommand{s: s}
	cmd := &cobra.Command{
		Use:   "keys:add [FILE|-]",
		Short: "Admit somebody by their SSH public key",
		Long: `Admit somebody by their SSH public key, or by several, one on each line.

FILE is a public key; - reads from stdin; without it your own default key is taken.
Whose key it is comes from --user, else from its comment (alice@laptop is alice).`,
		Example: `  octo keys:add ~/.ssh/id_ed25519.pub --user alice --admin
  octo keys:add - --user bob < bob.pub`,
		Args: atMost(1),
		RunE: c.run,
	}
	cmd.Flags().StringVar(&c.user, "user", "", "whose key it is")
	cmd.Flags().BoolVar(&c.admin, "admin", false, "may do everything on this octohost")
	jsonOf[octo.Key](cmd, "a list of objects")
	return cmd
}

func (c *keysAddCommand) run(cmd *cobra.Command, args []string) error {
	text, err := c.read(args)
	if err != nil {
		return err
	}
	lines, err := keyLines(text)
	if err != nil {
		return err
	}
	client, err := c.s.open(cmd.Context())
	if err != nil {
		return err
	}
	added := []octo.Key{}
	for _, line := range lines {
		user, err := c.userOf(line)
		if err != nil {
			return err
		}
		key, err := client.AddKey(cmd.Context(), user, c.admin, line)
		if err != nil {
			return err
		}
		added = append(added, key)
	}
	return c.print(added)
}

func (c *keysAddCommand) print(added []octo.Key) error {
	if c.s.json {
		return c.s.printJSON(added)
	}
	for _, key := range added {
		as := ""
		if key.Admin {
			as = ", an admin"
		}
		if _, err := fmt.Fprintf(c.s.env.Out, "admitted %s%s (%s)\n", clean(key.User), as, key.Fingerprint); err != nil {
			return err
		}
	}
	return nil
}

// maxKeys is the most that is read of a file of keys, in bytes.
const maxKeys = 64 << 10

// read returns the text of the keys. Who came over SSH has no files here.
func (c *keysAddCommand) read(args []string) (string, error) {
	if len(args) == 1 && args[0] == "-" || len(args) == 0 && c.s.inProcess {
		text, err := io.ReadAll(io.LimitReader(c.s.env.In, maxKeys))
		if err != nil {
			return "", fmt.Errorf("read key: %w", err)
		}
		return string(text), nil
	}
	if c.s.inProcess {
		return "", usage("send it along: ssh … keys:add < "+clean(args[0]), "your files are not here")
	}
	if len(args) == 1 {
		path := args[0]
		if !filepath.IsAbs(path) {
			path = filepath.Join(c.s.env.Dir, path)
		}
		return readKeys(path)
	}
	return c.ownKey()
}

// ownKey reads the person's default key.
func (c *keysAddCommand) ownKey() (string, error) {
	for _, name := range []string{"id_ed25519.pub", "id_ecdsa.pub", "id_rsa.pub"} {
		path := filepath.Join(c.s.env.Home, ".ssh", name)
		text, err := readKeys(path)
		if err == nil {
			c.s.progress("taking %s", path)
			return text, nil
		}
		if !errors.Is(err, octo.ErrNotFound) {
			return "", err
		}
	}
	return "", octo.Errorf(octo.ErrNotFound, "you have no SSH key in %s", filepath.Join(c.s.env.Home, ".ssh")).
		WithHint("make one with: ssh-keygen -t ed25519, or name a file")
}

func readKeys(path string) (string, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return "", octo.Errorf(octo.ErrNotFound, "there is no file %s", path).WithHint("name a public key such as ~/.ssh/id_ed25519.pub")
	}
	if err != nil {
		return "", fmt.Errorf("read key: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	text, err := io.ReadAll(io.LimitReader(f, maxKeys))
	if err != nil {
		return "", fmt.Errorf("read key: %w", err)
	}
	return string(text), nil
}

// keyLines returns the keys in a text, without comments. A private key is refused
// before it leaves this machine.
func keyLines(text string) ([]string, error) {
	if strings.Contains(text, "PRIVATE KEY") {
		return nil, usage("give the file that ends in .pub", "that is a private key, which nobody else should ever see")
	}
	var lines []string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if line != "" && !strings.HasPrefix(line, "#") {
			lines = append(lines, line)
		}
	}
	if len(lines) == 0 {
		return nil, usage("give a line as in ~/.ssh/id_ed25519.pub", "there is no key in that")
	}
	return lines, nil
}

// userOf says whose key it is.
func (c *keysAddCommand) userOf(line string) (string, error) {
	if c.user != "" {
		return c.user, nil
	}
	fields := strings.Fields(line)
	user, _, named := strings.Cut(fields[len(fields)-1], "@")
	if len(fields) < 3 || !named || !plainWord(user) {
		return "", usage("say it with --user NAME", "the key does not tell whose it is")
	}
	return user, nil
}

type keysRemoveCommand struct{ s *session }

func newKeysRemoveCommand(s *session) *cobra.Command {
	c := &keysRemoveCommand{s: s}
	return &cobra.Command{
		Use:               "keys:remove FINGERPRINT",
		Short:             "Admit a key no longer",
		Example:           "  octo keys:remove SHA256:nThbg6kXUpJWGl7E1IGOCspRomTxdCARLviKw6E5SY8",
		Args:              exactly(1),
		ValidArgsFunction: s.completeKeys,
		RunE:              c.run,
	}
}

func (c *keysRemoveCommand) run(cmd *cobra.Command, args []string) error {
	if !strings.HasPrefix(args[0], "SHA256:") {
		return usage("list them with: octo keys", "%.60q is not a fingerprint: those begin with SHA256:", args[0])
	}
	client, err := c.s.open(cmd.Context())
	if err != nil {
		return err
	}
	if err := client.RemoveKey(cmd.Context(), args[0]); err != nil {
		return err
	}
	_, err = fmt.Fprintf(c.s.env.Out, "removed %s\n", args[0])
	return err
}
