package cli

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

func TestParseHost(t *testing.T) {
	for text, want := range map[string]host{
		"ssh://octo@box.example:2222": {"octo", "box.example", 2222},
		"ssh://box":                   {"octo", "box", 0},
		"ssh://me@my_alias/":          {"me", "my_alias", 0},
		"ssh://octo@10.0.0.1:22":      {"octo", "10.0.0.1", 22},
		"ssh://octo@[2001:db8::1]:22": {"octo", "2001:db8::1", 22},
	} {
		got, err := parseHost(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
		again, err := parseHost(got.String())
		require.NoError(t, err, got.String())
		require.Equal(t, want, again)
	}
	for _, text := range []string{
		"", "box", "octo@box", "ssh://", "ssh://octo@", "ssh://octo:pass@box", "ssh://octo@box/path", "ssh://octo@box?x=1",
		"ssh://octo@box#x", "ssh://octo@box:0", "ssh://octo@box:65536", "ssh://octo@box:22x", "https://octo@box",
		"ssh://-oProxyCommand=x@box", "ssh://octo@-oProxyCommand=x", "ssh://octo@box;id", "ssh://octo@$(id)", "ssh://octo@`id`",
		"ssh://oc to@box", "ssh://octo@bo%20x", "ssh://octo@box\n", "ssh://octo@[fe80::1%25eth0]", "ssh://octo@bücher", "ssh://%2Doption@box",
		"ssh://octo@" + strings.Repeat("a", 254),
	} {
		_, err := parseHost(text)
		require.ErrorIs(t, err, octo.ErrInvalid, text)
	}
}

func TestParseGitURL(t *testing.T) {
	for text, want := range map[string]gitRemote{
		"ssh://octo@box:2222/hello": {host{"octo", "box", 2222}, "hello"},
		"ssh://octo@box/hello.git":  {host{"octo", "box", 0}, "hello"},
		"octo@box:hello":            {host{"octo", "box", 0}, "hello"},
		"octo@box:/hello.git":       {host{"octo", "box", 0}, "hello"},
		"octo@[::1]:hello":          {host{"octo", "::1", 0}, "hello"},
	} {
		got, ok := parseGitURL(text)
		require.True(t, ok, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{
		"", "/srv/repo", "https://box/hello", "git@github.com:me/hello.git", "octo@box", "box:hello", "octo@box:Hello",
		"octo@-oProxyCommand=x:hello", "-oProxyCommand=x@box:hello", "ssh://octo@box/a/b", "octo@box:../x", "octo@[::1:hello",
	} {
		_, ok := parseGitURL(text)
		require.False(t, ok, text)
	}
}

// Nothing that is read from a URL can be an option of ssh, or contain anything that
// a shell in somebody's ProxyCommand would act upon.
func FuzzHost(f *testing.F) {
	for _, seed := range []string{
		"ssh://octo@box:2222", "ssh://octo@[::1]:22/app", "octo@box:app", "ssh://-oProxyCommand=x@y", "octo@-x:app", "ssh://a@b%2Dc", "octo@[::1]:app",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		h, err := parseHost(text)
		if err != nil {
			remote, ok := parseGitURL(text)
			if !ok {
				return
			}
			h = remote.host
		}
		args := sshArgs(h, false)
		dest := args[len(args)-2]
		if args[len(args)-3] != "--" || strings.HasPrefix(dest, "-") || strings.HasPrefix(h.Name, "-") || h.Name == "" {
			t.Fatalf("%q became %q", text, args)
		}
		if strings.ContainsAny(dest, " \t\r\n\x00;&|<>$`'\"\\(){}*?!#~%^=/,") {
			t.Fatalf("%q became %q", text, dest)
		}
		if again, err := parseHost(h.String()); err != nil || again != h {
			t.Fatalf("%q became %v and then %v, %v", text, h, again, err)
		}
	})
}
