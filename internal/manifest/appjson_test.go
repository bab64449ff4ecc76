package manifest_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/manifest"
	"github.com/octohost/octohost/internal/octo"
)

// read reads a repository's files, whose processes are those of an image with a command.
func read(t *testing.T, image manifest.ImageFacts, files map[string]string) (manifest.Said, map[octo.Name]octo.Process, []string) {
	t.Helper()
	bytes := map[string][]byte{}
	for name, text := range files {
		bytes[name] = []byte(text)
	}
	said, err := manifest.Read(bytes)
	require.NoError(t, err)
	image.HasCommand = true
	list, notes, err := manifest.Processes(said, image)
	require.NoError(t, err)
	ps := map[octo.Name]octo.Process{}
	for _, p := range list {
		ps[p.Name] = p
	}
	return said, ps, notes
}

// A repository as Heroku's button and Dokku know it.
func TestAppJSON_Everything(t *testing.T) {
	said, ps, notes := read(t, manifest.ImageFacts{}, map[string]string{
		"Procfile": "web: node server.js\nworker: node worker.js\nrelease: node migrate.js\n",
		"app.json": `{
  "name": "Example", "description": "x", "keywords": ["a"], "stack": "heroku-24", "buildpacks": [{"url": "heroku/nodejs"}],
  "addons": ["heroku-postgresql"],
  "formation": {"web": {"quantity": 2, "size": "standard-1x"}, "worker": {"quantity": 1, "max_parallel": 3}},
  "env": {
    "PLAIN": "text", "GIVEN": {"description": "d", "value": "v"}, "SECRET": {"generator": "secret"},
    "OPTIONAL": {"required": false}, "NEEDED": {"description": "ask me"}
  },
  "scripts": {"postdeploy": "node seed.js", "test": "npm test", "dokku": {"predeploy": "node pre.js", "postdeploy": "node post.js $X"}},
  "environments": {"test": {"formation": {"web": {"quantity": 1}}}},
  "healthchecks": {"web": [
    {"type": "liveness", "path": "/live"},
    {"type": "startup", "name": "s", "path": "/up", "attempts": 4, "timeout": 10, "wait": 2, "initialDelay": 5, "httpHeaders": [{"name": "a", "value": "b"}]}
  ], "worker": [{"type": "startup", "uptime": 7}]}
}`,
	})
	require.Equal(t, 2, ps["web"].Count)
	require.Equal(t, 1, ps["worker"].Count)
	require.Equal(t, octo.Check{Kind: octo.CheckHTTP, Path: "/up", Timeout: octo.Duration(10 * time.Second), Deadline: octo.Duration(53 * time.Second)}, ps["web"].Check)
	require.Equal(t, octo.Check{Kind: octo.CheckNone, Path: "/", Uptime: octo.Duration(7 * time.Second), Deadline: octo.DefaultDeadline}, ps["worker"].Check)
	require.Equal(t, map[string]octo.ConfigDefault{
		"PLAIN": {Value: "text", Required: true}, "GIVEN": {Value: "v", Required: true}, "SECRET": {Generate: true, Required: true},
		"OPTIONAL": {}, "NEEDED": {Required: true},
	}, said.App.Env)
	require.Equal(t, []octo.Task{
		{Name: "dokku.predeploy", Command: []string{"node", "pre.js"}},
		{Name: "release", Command: []string{"node", "migrate.js"}},
		{Name: "postdeploy", Command: []string{"node", "seed.js"}, First: true},
		{Name: "dokku.postdeploy", Command: []string{"/bin/sh", "-c", "node post.js $X"}},
	}, said.Tasks())
	require.Equal(t, []string{
		"app.json: size in formation is not known here: ignored.",
		"app.json: max_parallel in formation is not known here: ignored.",
		"app.json: httpHeaders of a health check is not known here: ignored.",
		"app.json: addons is not known here: ignored.",
		"app.json: web has 2 health checks, and only one is made: http.",
	}, notes)
}

// octohost.toml goes over app.json, and that over the Procfile and the image.
func TestSaid_WhatGoesOverWhat(t *testing.T) {
	health := &manifest.Healthcheck{Command: []string{"/healthy"}}
	procfile := "web: serve\nworker: work\nrelease: one"
	app := `{"formation": {"web": {"quantity": 2}, "worker": {"quantity": 3}}, "scripts": {"release": {"command": "two"}}, "healthchecks": {"web": [{"listening": true}]}}`
	toml := "[deploy]\nrelease = \"three\"\nhealth_timeout = \"2m\"\n[processes.web]\ncount = 4\nhealth_path = \"/up\"\n[processes.worker]\nsingleton = true\ncount = 1"
	for _, c := range []struct {
		files       map[string]string
		web, worker int
		check       octo.CheckKind
		release     string
	}{
		{map[string]string{}, 1, -1, octo.CheckCmd, ""},
		{map[string]string{"Procfile": procfile}, 1, 0, octo.CheckCmd, "one"},
		{map[string]string{"Procfile": procfile, "app.json": app}, 2, 3, octo.CheckTCP, "two"},
		{map[string]string{"Procfile": procfile, "app.json": app, "octohost.toml": toml}, 4, 1, octo.CheckHTTP, "three"},
	} {
		said, ps, notes := read(t, manifest.ImageFacts{Health: health}, c.files)
		require.Empty(t, notes)
		require.Equal(t, c.web, ps["web"].Count)
		web := ps["web"]
		require.Equal(t, c.check, web.CheckKind())
		require.Equal(t, c.check == octo.CheckCmd, web.Check.Command != nil)
		if c.worker >= 0 {
			require.Equal(t, c.worker, ps["worker"].Count)
			require.Equal(t, c.release, said.Tasks()[0].Command[0])
		}
		if c.files["octohost.toml"] != "" {
			require.Equal(t, octo.Duration(2*time.Minute), web.Check.Deadline)
			require.True(t, ps["worker"].Singleton)
		}
	}
}

func TestHealthcheck_AsDockerMeansIt(t *testing.T) {
	for _, c := range []struct {
		toml string
		h    manifest.Healthcheck
		want octo.Check
	}{
		{"", manifest.Healthcheck{}, octo.Check{Interval: sec(30), Timeout: sec(30), Retries: 3, Deadline: sec(90)}},
		{"", manifest.Healthcheck{Interval: 5 * time.Second, Timeout: time.Second, StartPeriod: 5 * time.Minute, Retries: 2}, octo.Check{Interval: sec(5), Timeout: sec(1), Retries: 2, Deadline: sec(310)}},
		{"", manifest.Healthcheck{Interval: time.Millisecond, Retries: 1}, octo.Check{Interval: sec(1), Timeout: sec(30), Retries: 1, Deadline: sec(60)}},
		{"", manifest.Healthcheck{Interval: 100 * time.Hour}, octo.Check{Interval: sec(3600), Timeout: sec(30), Retries: 3, Deadline: sec(3600)}},
		{"[deploy]\nhealth_interval = \"7s\"\ncheck = \"cmd\"", manifest.Healthcheck{}, octo.Check{Interval: sec(7), Timeout: sec(30), Retries: 3, Deadline: sec(90)}},
	} {
		c.h.Command = []string{"/healthy", "-q"}
		c.want.Kind, c.want.Path, c.want.Command = octo.CheckCmd, "/", c.h.Command
		_, ps, _ := read(t, manifest.ImageFacts{Health: &c.h}, map[string]string{"Procfile": "web: x\nworker: y", "octohost.toml": c.toml})
		require.Equal(t, c.want, ps["web"].Check)
		require.Equal(t, octo.CheckKind(""), ps["worker"].Check.Kind, "it is about the server of the image")
	}
}

func sec(n int) octo.Duration { return octo.Duration(time.Duration(n) * time.Second) }

func TestProcesses_ChecksThatCannotBe(t *testing.T) {
	for toml, want := range map[string]string{
		"[deploy]\ncheck = \"cmd\"":                                       "web is to be checked by a command, and nothing says by which; write health_command",
		"[processes.w]\ncommand = \"x\"\ncheck = \"tcp\"":                 "w is to be checked by tcp, and has no port; write port = … below [processes.w] in octohost.toml",
		"[processes.w]\ncommand = \"x\"\nhealth_path = \"/\"":             "w is to be checked by http, and has no port",
		"[deploy]\nsingleton = true\n[processes.web]\ncount = 2":          "web is a singleton, and 2 of it are wanted; write count = 1 below [processes.web]",
		"[deploy]\nhealth_path = \"/\"\n[processes.web]\ncheck = \"cmd\"": "nothing says by which",
	} {
		m, err := manifest.Parse([]byte(toml))
		require.NoError(t, err, toml)
		_, _, err = manifest.Processes(manifest.Said{Manifest: m}, manifest.ImageFacts{HasCommand: true})
		require.ErrorIs(t, err, octo.ErrInvalid, toml)
		require.ErrorContains(t, err, want, toml)
	}
}

func TestAppJSON_SaysWhatMeansNothing(t *testing.T) {
	_, ps, notes := read(t, manifest.ImageFacts{Ports: []int{8080}}, map[string]string{"app.json": "\ufeff" + `{
		"formation": {"clock": {"quantity": 1}, "web": null}, "env": null, "scripts": {"postdeploy": " ", "dokku": null}, "cron": [1], "addons": null,
		"healthchecks": {"web": [{"port": 5000, "path": "/up"}]}, "formations": 7
	}`})
	require.Equal(t, []string{
		"app.json: cron is not known here: ignored.",
		"app.json: the health check of web names port 5000; it is made on port 8080, where requests go.",
		"app.json speaks of clock, but there is no such process.",
	}, notes)
	require.Equal(t, 8080, ps["web"].Port)
}

func TestAppJSON_SaysWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{
		"":                           "app.json:1: unexpected end of JSON input",
		"{\n\"a\": 1,\n}":            "app.json:3: invalid character '}' looking for beginning of object key string",
		"[]":                         "app.json must be an object: {…}",
		`{"formation": []}`:          "app.json: formation must be an object: {…}",
		`{"formation": {"Web": {}}}`: `app.json: formation: "Web" is not a valid name`,
		`{"formation": {"web": 2}}`:  "app.json: formation.web must be an object: {…}",
		`{"formation": {"web": {"quantity": "2"}}}`: "app.json: formation.web.quantity must be a whole number",
		`{"formation": {"web": {"quantity": 1.5}}}`: "app.json: formation.web.quantity must be a whole number",
		`{"formation": {"web": {"quantity": 101}}}`: "app.json: formation.web.quantity must be between 0 and 100",
		`{"env": "x"}`:                                           "app.json: env must be an object: {…}",
		`{"env": {"A": 1}}`:                                      "app.json: env.A must be text, or an object: {…}",
		`{"env": {"A": {"value": 1}}}`:                           "app.json: env.A.value must be text in quotes",
		`{"env": {"A": {"required": "no"}}}`:                     "app.json: env.A.required must be true or false",
		`{"env": {"A": {"generator": "uuid"}}}`:                  `app.json: env.A.generator must be "secret"`,
		`{"scripts": {"postdeploy": ["a"]}}`:                     "app.json: scripts.postdeploy must be text in quotes",
		`{"scripts": {"postdeploy": {"command": 1}}}`:            "app.json: scripts.postdeploy.command must be text in quotes",
		`{"scripts": {"dokku": {"predeploy": "a 'b"}}}`:          "app.json: scripts.dokku.predeploy: a quote is not closed",
		`{"healthchecks": {"web": {}}}`:                          "app.json: healthchecks.web must be a list",
		`{"healthchecks": {"web": [1]}}`:                         "app.json: healthchecks.web[0] must be an object: {…}",
		`{"healthchecks": {"web": [{"type": "x"}]}}`:             "app.json: healthchecks.web[0].type must be startup, readiness or liveness",
		`{"healthchecks": {"web": [{}, {"path": "up"}]}}`:        "app.json: healthchecks.web[1].path must be a path that begins with a slash",
		`{"healthchecks": {"web": [{"command": "true"}]}}`:       "app.json: healthchecks.web[0].command must be a list",
		`{"healthchecks": {"web": [{"command": [""]}]}}`:         "command must be a list of words that begins with a program",
		`{"healthchecks": {"web": [{"attempts": 0}]}}`:           "attempts must be between 1 and 100",
		`{"healthchecks": {"web": [{"wait": -1}]}}`:              "wait must be a number of seconds up to 3600",
		`{"healthchecks": {"web": [{"uptime": 9999999999999}]}}`: "uptime must be a number of seconds up to 3600",
		`{"healthchecks": {"web": [{"port": 70000}]}}`:           "port must be between 1 and 65535",
		strings.Repeat(" ", manifest.MaxSize+1):                  "app.json has 65537 bytes, more than 65536",
	} {
		_, err := manifest.ParseAppJSON([]byte(text))
		require.ErrorIs(t, err, octo.ErrInvalid, text)
		require.ErrorContains(t, err, want, text)
	}
}

func FuzzParseAppJSON(f *testing.F) {
	f.Add([]byte(`{"formation": {"web": {"quantity": 2}}, "env": {"A": {"generator": "secret"}, "B": "c"}, "scripts": {"dokku": {"predeploy": "x $Y"}}}`))
	f.Add([]byte(`{"healthchecks": {"web": [{"type": "liveness", "path": "/", "attempts": 9, "wait": 3600, "timeout": 3600}], "w": [{"uptime": 1, "port": 1}]}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		a, err := manifest.ParseAppJSON(text)
		if err != nil {
			require.ErrorIs(t, err, octo.ErrInvalid)
			return
		}
		procfile, err := manifest.ParseProcfile([]byte("web: a\nw: b"))
		require.NoError(t, err)
		said := manifest.Said{App: a, Procfile: procfile}
		for _, task := range said.Tasks() {
			require.NotEmpty(t, task.Command)
		}
		ps, _, err := manifest.Processes(said, manifest.ImageFacts{HasCommand: true})
		if err != nil {
			require.ErrorIs(t, err, octo.ErrInvalid)
			return
		}
		for _, p := range ps {
			require.True(t, p.Count >= 0 && p.Count <= 100)
			require.True(t, p.Check.Deadline >= octo.Duration(time.Second) && p.Check.Deadline <= octo.Duration(time.Hour))
			require.Equal(t, p.CheckKind() == octo.CheckCmd, p.Check.Command != nil)
		}
	})
}
