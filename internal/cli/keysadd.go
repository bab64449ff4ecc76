package cli

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/octohost/octohost/internal/octo"
)

type keysAddCommand struct {
	s                   *session
	user, name, expires string
	admin               bool
}

func newKeysAddCommand(s *session) *cobra.Command {
	c := &keysAddCommand{s: s}
	cmd := &cobra.Command{
		Use:   "keys:add [FILE|-]",
		Short: "Admit somebody by their SSH public key",
		Long: `Admit somebody by their SSH public key, or by several, one on each line.

FILE is a public key; - reads from stdin; without it your own default key is taken.
Whose key it is comes from --user, else from its comment (alice@laptop is alice).

With -a it is a deploy key, for a machine: it opens that app only, to push, roll back
and look. The owner of the app may add one. --name says what to call it.`,
		Example: `  octo keys:add ~/.ssh/id_ed25519.pub --user alice --admin
  octo keys:add - --user bob --expires 90d < bob.pub
  octo keys:add bob.pub -a hello --name ci`,
		Args: atMost(1),
		RunE: c.run,
	}
	cmd.Flags().StringVar(&c.user, "user", "", "whose key it is")
	cmd.Flags().BoolVar(&c.admin, "admin", false, "may do everything on this octohost")
	cmd.Flags().StringVar(&c.name, "name", "", "what a deploy key is called")
	cmd.Flags().StringVar(&c.expires, "expires", "", "opens nothing after that: 90d, 12h, or the end of a day such as 2027-01-31")
	jsonOf[octo.Key](cmd, "a list of objects")
	return cmd
}

func (c *keysAddCommand) run(cmd *cobra.Command, args []string) error {
	wish, err := c.wish()
	if err != nil {
		return err
	}
	text, err := c.read(args)
	if err != nil {
		return err
	}
	lines, err := keyLines(text)
	if err != nil {
		return err
	}
	for _, line := range lines {
		if err := named(wish, line); err != nil {
			return err
		}
	}
	client, err := c.s.open(cmd.Context())
	if err != nil {
		return err
	}
	added := []octo.Key{}
	for _, line := range lines {
		wish.Line = line
		key, err := client.AddKey(cmd.Context(), wish)
		if err != nil {
			return errors.Join(c.print(added), err)
		}
		added = append(added, key)
	}
	return c.print(added)
}

// wish returns what the flags say about the keys.
func (c *keysAddCommand) wish() (octo.Admission, error) {
	app, err := c.s.namedApp()
	if err != nil {
		return octo.Admission{}, err
	}
	wish := octo.Admission{App: app, User: c.user, Admin: c.admin}
	if app != "" {
		wish.User = c.name
	}
	switch {
	case app != "" && (c.user != "" || c.admin):
		return wish, usage("leave out -a for a person, or --user and --admin for a machine that deploys", "-a makes a deploy key, which is nobody's")
	case app == "" && c.name != "":
		return wish, usage("name the app of a deploy key with -a, or the person with --user", "--name is for deploy keys")
	case c.expires == "":
		return wish, nil
	}
	var ok bool
	if wish.Expires, ok = parseExpiry(c.expires, c.s.env.Now()); !ok {
		return wish, usage("write --expires 90d, --expires 12h or --expires 2027-01-31", "%.40q is not a time to come", c.expires)
	}
	return wish, nil
}

// parseExpiry reads a time to come: how long it takes (90d, 12h), RFC 3339, or a date,
// which means the end of that day in UTC.
func parseExpiry(text string, now time.Time) (time.Time, bool) {
	if day, err := time.Parse(time.DateOnly, text); err == nil {
		end := day.AddDate(0, 0, 1)
		return end, end.After(now)
	}
	if at, err := time.Parse(time.RFC3339, text); err == nil {
		return at, at.After(now)
	}
	past, ok := parseSince(text, now)
	return now.Add(now.Sub(past)), ok && past.Before(now)
}

// named refuses a key that does not say whose it is, if nothing else does.
func named(wish octo.Admission, line string) error {
	if wish.User != "" {
		return nil
	}
	flag, comment := "--user", ""
	if wish.App != "" {
		flag = "--name"
	}
	if fields := strings.Fields(line); len(fields) > 2 {
		comment = fields[len(fields)-1]
	}
	var e *octo.Error
	if _, err := octo.UserFrom(comment); errors.As(err, &e) {
		return usageError{e.WithHint("say it with %s NAME", flag)}
	}
	return nil
}

func (c *keysAddCommand) print(added []octo.Key) error {
	if c.s.json {
		return c.s.printJSON(added)
	}
	for _, key := range added {
		as := ""
		switch {
		case key.App != "":
			as = ", to deploy " + string(key.App)
		case key.Admin:
			as = ", an admin"
		}
		if !key.Expires.IsZero() {
			as += ", until " + key.Expires.UTC().Format("2006-01-02 15:04 MST")
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
