package daemon_test

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/api"
	"github.com/octohost/octohost/internal/cli"
	"github.com/octohost/octohost/internal/octo"
)

// columns are those whom the tables speak of, in their order.
func columns() []string {
	return []string{"stranger", "viewer", "deployer", "owner", "deploy key", "another deploy key", "admin"}
}

// Every route and every command has its line in the table, and does what it says.
func TestRules_EveryRouteAndCommandHasOne(t *testing.T) {
	rules := routeRules()
	for _, rule := range api.Rules() {
		if rules[rule.Pattern] == "" {
			t.Errorf("who may ask for %q? Add it to routeRules in rules_table_test.go", rule.Pattern)
		}
		delete(rules, rule.Pattern)
	}
	require.Empty(t, rules, "these routes are no longer there")
	commands := append(cli.RemoteCommands(), "git-upload-pack", "git-receive-pack", "octo-api")
	missing := slices.Clone(commands)
	for line := range lineRules() {
		command := strings.Fields(line)[0]
		require.Contains(t, commands, command, "this command is no longer there")
		missing = slices.DeleteFunc(missing, func(m string) bool { return m == command })
	}
	for _, command := range missing {
		t.Errorf("who may type %q? Add a line that uses it to lineRules in rules_table_test.go", command)
	}
}

func TestRules_HoldOverTheRealServer(t *testing.T) {
	var patterns, lines []string
	for pattern := range routeRules() {
		patterns = append(patterns, pattern)
	}
	for line := range lineRules() {
		lines = append(lines, line)
	}
	h := openSite(t, len(patterns)+len(lines))
	for i, pattern := range patterns {
		h.row(t, i, pattern, routeRules()[pattern], func(p person, app octo.Name) verdict { return p.ask(t, pattern, app) })
	}
	for i, line := range lines {
		h.row(t, len(patterns)+i, line, lineRules()[line], func(p person, app octo.Name) verdict { return p.typeLine(t, line, app) })
	}
	for _, who := range []string{"nobody", "expired"} {
		_, err := h.dial(who)
		require.ErrorContains(t, err, "unable to authenticate", who)
	}
	require.Contains(t, h.banner.String(), "octohost: your key expired on ")
}

// row tries one line of a table in every column, each with an app of its own.
func (h *site) row(t *testing.T, number int, what, rule string, try func(person, octo.Name) verdict) {
	t.Helper()
	cells := strings.Fields(rule)
	require.Len(t, cells, len(columns()), "the rule of %s", what)
	for i, column := range columns() {
		app := appOf(number, i)
		who := column
		if column == "deploy key" {
			who = keyOf(app)
		}
		got := try(h.person(t, who), app)
		if got.may != cells[i] {
			t.Errorf("%s, by %s: %q, but the table says %q; it said:\n%s", what, column, got.may, cells[i], got.said)
		}
	}
}

// verdict is how somebody was answered.
type verdict struct{ may, said string }

// judge tells a refusal from everything else: that what was asked for is wrong, or
// not there, is only said to those who may ask for it.
func judge(failed, denied bool, said string) verdict {
	switch {
	case denied:
		return verdict{"no", said}
	case !failed:
	case strings.Contains(said, "no app named") || strings.Contains(said, "no key SHA256:") || strings.Contains(said, "is taken"):
		return verdict{"?", said}
	}
	return verdict{"yes", said}
}

// ask makes a request by a route's pattern.
func (p person) ask(t *testing.T, pattern string, app octo.Name) verdict {
	t.Helper()
	method, path, found := strings.Cut(pattern, " ")
	if !found {
		method, path = http.MethodGet, "/v1/whatever"
	}
	path = strings.NewReplacer("{app}", string(app), "{release}", "1", "{fingerprint}", "SHA256:"+string(app), "{user}", "vic").Replace(path)
	path = regexp.MustCompile(`\{\w+\}`).ReplaceAllString(path, "x")
	req, err := http.NewRequestWithContext(t.Context(), method, "http://octo"+path, strings.NewReader("{}"))
	require.NoError(t, err)
	resp, err := p.api.Do(req)
	require.NoError(t, err, pattern)
	defer resp.Body.Close() //nolint:errcheck // it was only read
	said, err := io.ReadAll(resp.Body)
	require.NoError(t, err, pattern)
	return judge(resp.StatusCode != http.StatusOK, resp.StatusCode == http.StatusForbidden, fmt.Sprintf("%s %s", resp.Status, said))
}

// typeLine types a line behind ssh octo@HOST.
func (p person) typeLine(t *testing.T, line string, app octo.Name) verdict {
	t.Helper()
	const exitDenied = 4
	session, err := p.ssh.NewSession()
	require.NoError(t, err)
	defer session.Close() //nolint:errcheck // it has ended
	if strings.HasPrefix(line, "keys:add") {
		session.Stdin = strings.NewReader(authorizedLine(newSigner(t)))
	}
	out, err := session.CombinedOutput(strings.ReplaceAll(line, "APP", string(app)))
	said, code := string(out), exitCode(t, err)
	denied := code == exitDenied
	if strings.HasPrefix(line, "git-") { // git has one code for all that goes wrong
		denied = strings.Contains(said, "may only push to") || strings.Contains(said, ", and this needs ")
	}
	return judge(code != 0, denied, said)
}

// A key that is taken away or expires takes along what runs with it.
func TestRules_SessionsEndWithTheirKey(t *testing.T) {
	h := openSite(t, 0)
	admin := api.NewClient(api.DialLocal(h.path("octo.sock")))
	defer admin.Close()
	remove := func(key octo.Key) { require.NoError(t, admin.RemoveKey(t.Context(), "", key.Fingerprint)) }
	expire := func(octo.Key) {} // by itself
	for lasts, end := range map[time.Duration]func(octo.Key){time.Hour: remove, 4 * time.Second: expire} {
		wish := octo.Admission{User: "gus", Admin: true, Line: authorizedLine(h.signer("guest")), Expires: time.Now().Add(lasts)}
		key, err := admin.AddKey(t.Context(), wish)
		require.NoError(t, err)
		guest := h.person(t, "guest")
		session, err := guest.ssh.NewSession()
		require.NoError(t, err)
		out, err := session.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, session.Start("events -f"))
		_, err = out.Read(make([]byte, 1))
		require.NoError(t, err, "it runs")
		end(key)
		require.Error(t, session.Wait())
		require.Error(t, guest.ssh.Wait(), "the connection is closed")
		_, err = h.dial("guest")
		require.ErrorContains(t, err, "unable to authenticate")
		h.forget("guest")
		delete(h.signers, "guest")
	}
}
