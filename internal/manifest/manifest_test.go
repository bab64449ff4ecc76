package manifest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/manifest"
	"github.com/octohost/octohost/internal/octo"
)

func TestParse_Everything(t *testing.T) {
	m, err := manifest.Parse([]byte(`
[build]
dockerfile = "docker/Dockerfile"
[deploy]
port = 8080
health_path = "/up"
health_timeout = "2m"
memory = "256m"
[processes]
worker = { command = "bin/worker --queue 'a b'", count = 2, cpu = 0.5 }
[processes.web]
command = ["/site", "-v"]
count = 3
`))
	require.NoError(t, err)
	require.Equal(t, "docker/Dockerfile", m.Dockerfile())
	ps, notes, err := manifest.Processes(m, manifest.Procfile{}, manifest.ImageFacts{})
	require.NoError(t, err)
	require.Empty(t, notes)
	require.Len(t, ps, 2)
	web, worker := ps[0], ps[1]
	require.Equal(t, octo.Name("web"), web.Name)
	require.Equal(t, []string{"/site", "-v"}, web.Command)
	require.Equal(t, 3, web.Count)
	require.Equal(t, 8080, web.Port)
	require.Equal(t, octo.Check{Path: "/up", Deadline: octo.Duration(2 * time.Minute)}, web.Check)
	require.EqualValues(t, 256<<20, web.Memory)
	require.Equal(t, []string{"bin/worker", "--queue", "a b"}, worker.Command)
	require.Equal(t, 2, worker.Count)
	require.Zero(t, worker.Port)
	require.InDelta(t, 0.5, worker.CPU, 0)
}

func TestParse_SaysWhatIsWrong(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"[build]\ndockerfil = \"x\"", `octohost.toml:2: unknown key "dockerfil" in [build]; did you mean "dockerfile"?`},
		{"[biuld]\n", `octohost.toml:1: unknown key "biuld"; did you mean "build"?`},
		{"[processes.web]\n\ncuont = 1", `octohost.toml:3: unknown key "cuont" in [processes.web]; did you mean "count"?`},
		{"[deploy]\nport = \"x\"", "octohost.toml:2"},
		{"\n\n= garbage", "octohost.toml:3:2"},
		{"[deploy]\nport = 70000", "port is 70000"},
		{"[deploy]\nhealth_path = \"up\"", "must begin with a slash"},
		{"[deploy]\nhealth_timeout = \"soon\"", `not a duration`},
		{"[deploy]\nmemory = \"lots\"", `not a size`},
		{"[deploy]\nmemory = \"1k\"", "the least is 6.0 MiB"},
		{"[build]\ndockerfile = \"../../etc/passwd\"", "give a path inside the repository"},
		{"[processes.Web]\ncount = 1", "lower-case"},
		{"[deploy]\ncommand = \"x\"", "[processes.web]"},
		{"[processes.web]\ncommand = 3", "a command is a string"},
	} {
		_, err := manifest.Parse([]byte(c.text))
		require.ErrorIs(t, err, octo.ErrInvalid, c.text)
		require.ErrorContains(t, err, c.want, c.text)
	}
}

func TestProcesses_Port(t *testing.T) {
	for _, c := range []struct {
		name  string
		image manifest.ImageFacts
		want  int
		notes int
	}{
		{"nothing said", manifest.ImageFacts{}, octo.DefaultPort, 0},
		{"the only one", manifest.ImageFacts{Ports: []int{9000}}, 9000, 0},
		{"PORT of the image", manifest.ImageFacts{Ports: []int{9000}, Env: []string{"PORT=7000"}}, 7000, 0},
		{"the usual one of two", manifest.ImageFacts{Ports: []int{443, 8080}}, 8080, 1},
		{"the lowest of unusual ones", manifest.ImageFacts{Ports: []int{9443, 9001}}, 9001, 1},
	} {
		c.image.HasCommand = true
		ps, notes, err := manifest.Processes(manifest.Manifest{}, manifest.Procfile{}, c.image)
		require.NoError(t, err, c.name)
		require.Equal(t, c.want, ps[0].Port, c.name)
		require.Len(t, notes, c.notes, c.name)
	}
}

func TestProcesses_ImageWithoutCommand(t *testing.T) {
	_, _, err := manifest.Processes(manifest.Manifest{}, manifest.Procfile{}, manifest.ImageFacts{})
	require.ErrorIs(t, err, octo.ErrInvalid)
	require.ErrorContains(t, err, "says no command")
	require.ErrorContains(t, err, "CMD")
}

func TestProcfile(t *testing.T) {
	p, err := manifest.ParseProcfile([]byte("# a comment\nweb: bin/site -p $PORT\n\nworker:  bin/work \"a b\"\r\nrelease: migrate\n"))
	require.NoError(t, err)
	require.Equal(t, manifest.Command{"/bin/sh", "-c", "bin/site -p $PORT"}, p.Commands["web"])
	require.Equal(t, manifest.Command{"bin/work", "a b"}, p.Commands["worker"])
	require.Equal(t, manifest.Command{"migrate"}, p.Release)

	ps, notes, err := manifest.Processes(manifest.Manifest{}, p, manifest.ImageFacts{})
	require.NoError(t, err)
	require.Len(t, ps, 2)
	require.Equal(t, 1, ps[0].Count)
	require.Equal(t, 0, ps[1].Count, "as on Heroku, only web starts by itself")
	require.Len(t, notes, 2)

	for _, bad := range []string{"web", "web: ", "Web: x", "web: x\nweb: y", "web: 'open"} {
		_, err := manifest.ParseProcfile([]byte(bad))
		require.ErrorIs(t, err, octo.ErrInvalid, bad)
		require.ErrorContains(t, err, "Procfile:", bad)
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("[build]\ndockerfile = \"x\"\n[processes.web]\ncommand = \"a 'b'\"\ncount = 2"))
	f.Add([]byte("[processes]\nweb = {command = [\"a\"]}"))
	f.Add([]byte("\"\\u0000\" = 1"))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := manifest.Parse(text)
		if err != nil {
			require.ErrorIs(t, err, octo.ErrInvalid)
			return
		}
		ps, _, err := manifest.Processes(m, manifest.Procfile{}, manifest.ImageFacts{HasCommand: true})
		require.NoError(t, err)
		for _, p := range ps {
			_, err := octo.ParseName(string(p.Name))
			require.NoError(t, err)
			require.GreaterOrEqual(t, p.Memory, int64(6<<20))
		}
	})
}

func FuzzParseProcfile(f *testing.F) {
	f.Add([]byte("web: a b\nworker: $X"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := manifest.ParseProcfile(text)
		if err != nil {
			require.ErrorIs(t, err, octo.ErrInvalid)
			return
		}
		for _, c := range p.Commands {
			require.NotEmpty(t, c)
		}
	})
}
