package manifest_test

import (
	"fmt"
	"strings"
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
	ps, notes, err := manifest.Processes(manifest.Said{Manifest: m}, manifest.ImageFacts{})
	require.NoError(t, err)
	require.Empty(t, notes)
	require.Len(t, ps, 2)
	web, worker := ps[0], ps[1]
	require.Equal(t, octo.Name("web"), web.Name)
	require.Equal(t, []string{"/site", "-v"}, web.Command)
	require.Equal(t, 3, web.Count)
	require.Equal(t, 8080, web.Port)
	require.Equal(t, octo.Check{Kind: octo.CheckHTTP, Path: "/up", Deadline: octo.Duration(2 * time.Minute)}, web.Check)
	require.EqualValues(t, 256<<20, web.Memory)
	require.Equal(t, []string{"bin/worker", "--queue", "a b"}, worker.Command)
	require.Equal(t, 2, worker.Count)
	require.Zero(t, worker.Port)
	require.InDelta(t, 0.5, worker.CPU, 0)
}

func TestParse_CommandAlone(t *testing.T) {
	m, err := manifest.Parse([]byte("[processes]\nweb = \"bin/site --port 80\"\nworker = [\"bin/worker\", \"a b\"]\nclock = \"sleep 5 && bin/clock\""))
	require.NoError(t, err)
	ps, notes, err := manifest.Processes(manifest.Said{Manifest: m}, manifest.ImageFacts{})
	require.NoError(t, err)
	require.Empty(t, notes)
	require.Equal(t, []octo.Name{"web", "clock", "worker"}, names(ps))
	require.Equal(t, []string{"bin/site", "--port", "80"}, ps[0].Command)
	require.Equal(t, []string{"/bin/sh", "-c", "sleep 5 && bin/clock"}, ps[1].Command)
	require.Equal(t, []string{"bin/worker", "a b"}, ps[2].Command)
	require.Equal(t, 1, ps[2].Count, "what octohost.toml names is started")
}

func names(ps []octo.Process) (names []octo.Name) {
	for _, p := range ps {
		names = append(names, p.Name)
	}
	return names
}

func TestParse_ZeroIsSaid(t *testing.T) {
	m, err := manifest.Parse([]byte("[deploy]\ndrain = \"0s\"\n[processes.web]\ncount = 0"))
	require.NoError(t, err)
	ps, _, err := manifest.Processes(manifest.Said{Manifest: m}, manifest.ImageFacts{HasCommand: true})
	require.NoError(t, err)
	require.Zero(t, ps[0].Drain)
	require.Zero(t, ps[0].Count)
	require.Equal(t, octo.DefaultGrace, ps[0].Grace)
}

func TestParse_SaysWhatIsWrong(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"[build]\ndockerfil = \"x\"", `octohost.toml:2: unknown key "dockerfil" in [build]; did you mean "dockerfile"?`},
		{"[biuld]\n", `octohost.toml:1: unknown key "biuld"; did you mean "build"?`},
		{"[processes.web]\n\ncuont = 1", `octohost.toml:3: unknown key "cuont" in [processes.web]; did you mean "count"?`},
		{"[processes]\nweb = {command = \"x\", cuont = 1}", `octohost.toml:2: unknown key "cuont" in [processes.web]; did you mean "count"?`},
		{"[processes]\nweb.cuont = 1", `octohost.toml:2: unknown key "cuont" in [processes.web]`},
		{"[ deploy ]\r\n'prot' = 1\r\n", `octohost.toml:2: unknown key "prot" in [deploy]; did you mean "port"?`},
		{"[build]\ndockerfile = \"\"\"\n[deploy]\nprot = 1\"\"\"\n[deploy]\nprot = 1", `octohost.toml:6: unknown key "prot"`},
		{"[deploy]\nPort = 1", `octohost.toml:2: unknown key "Port" in [deploy]; did you mean "port"?`},
		{"[proCesses]\nweb = \"x\"", `octohost.toml:1: unknown key "proCesses"; did you mean "processes"?`},
		{"[x.y]\nz = 1", `octohost.toml:1: unknown key "x"`},
		{"[deploy]\nxyzzy = 1", `octohost.toml:2: unknown key "xyzzy" in [deploy]; remove it`},
		{"[deploy]\nport = \"x\"", "octohost.toml:2: deploy.port is text in quotes, it must be a whole number"},
		{"[deploy]\nport = 1.5", "octohost.toml:2: deploy.port is a number, it must be a whole number"},
		{"deploy = 3", "octohost.toml:1: deploy is a whole number, it must be a table: [deploy]"},
		{"[[build]]", "octohost.toml:1: build is a list, it must be a table: [build]"},
		{"[processes]\nweb = 3", "octohost.toml:2: processes.web is a whole number, it must be a table: [processes.web]"},
		{"[deploy]\nport = 1\nport = 2", "octohost.toml:3:10: Key 'deploy.port' has already been defined"},
		{"\n\n= garbage", "octohost.toml:3:2"},
		{"garbage", "octohost.toml:1:7: unexpected EOF"},
		{"\x00", "octohost.toml:1:1: "},
		{"a = \"\xff\"", "octohost.toml:1:5: invalid UTF-8"},
		{"[deploy]\nport = 70000", "octohost.toml:2: port must be between 1 and 65535"},
		{"[deploy]\nport = 0", "octohost.toml:2: port must be between 1 and 65535"},
		{"[deploy]\n\nhealth_path = \"up\"", "octohost.toml:3: health_path must be a path that begins with a slash"},
		{"[deploy]\nhealth_path = \"/a b\"", "without spaces"},
		{"[deploy]\nhealth_timeout = \"soon\"", `octohost.toml:2:19: "soon" is not a duration; write for example 30s or 2m`},
		{"[deploy]\nhealth_timeout = \"1ms\"", "octohost.toml:2: health_timeout must be between 1s and 1h0m0s"},
		{"[deploy]\nhealth_timeout = \"-1s\"", "is not a duration"},
		{"[deploy]\ndrain = \"61m\"", "octohost.toml:2: drain must be at most 1h0m0s"},
		{"[deploy]\nmemory = \"lots\"", `octohost.toml:2:11: "lots" is not a size`},
		{"[deploy]\nmemory = \"1k\"", "octohost.toml:2: memory must be between 6.0 MiB and 16.0 TiB, with its unit: 256m"},
		{"[deploy]\nmemory = 512", "with its unit: 256m"},
		{"[processes.web]\ncpu = nan", "octohost.toml:2: cpu must be a number of cores between 0.01 and 1024"},
		{"[processes.web]\ncount = -1", "octohost.toml:2: count must be between 0 and 100"},
		{"[deploy]\ncheck = \"ping\"", "octohost.toml:2: check must be http, tcp, cmd or none"},
		{"[deploy]\nhealth_interval = \"1ms\"", "octohost.toml:2: health_interval must be between 1s and 1h0m0s"},
		{"[deploy]\nhealth_check_timeout = \"2h\"", "octohost.toml:2: health_check_timeout must be between 1s and 1h0m0s"},
		{"[deploy]\nhealth_retries = 0", "octohost.toml:2: health_retries must be between 1 and 100"},
		{"[deploy]\ncheck = \"tcp\"\nhealth_path = \"/up\"", "octohost.toml:3: health_path means nothing where check is \"tcp\"; write check = \"http\", or leave out health_path"},
		{"[deploy]\ncheck = \"none\"\nhealth_command = \"true\"", "octohost.toml:3: health_command means nothing where check is \"none\""},
		{"[deploy]\nhealth_path = \"/\"\nhealth_command = \"true\"", "octohost.toml:2: health_path and health_command exclude each other"},
		{"[processes.w]\nsingleton = true\ncount = 2", "octohost.toml:3: count of a singleton must be 0 or 1"},
		{"[processes.w]\nrelease = \"migrate\"", "octohost.toml:2: release does not belong in [processes.w]; write it below [deploy]"},
		{"[processes.web]\npids = 0", "octohost.toml:2: pids must be between 1 and 1048576"},
		{"[build]\ndockerfile = \"../../etc/passwd\"", "octohost.toml:2: dockerfile is \"../../etc/passwd\"; give a path inside the repository"},
		{"[build]\nsecrets = [\"A\", \"B-C\"]", "octohost.toml:2: a build secret is named like a variable"},
		{"[build]\nsecrets = \"A\"", "octohost.toml:2"},
		{"[build]\nsecrets = [\"PORT\"]", "that cannot be one"},
		{"[build]\ndockerfile = \"/Dockerfile\"", "give a path inside the repository"},
		{"[build]\ndockerfile = \"a\\nb\"", "give a path inside the repository"},
		{"[processes.Web]\ncount = 1", "octohost.toml:1: \"Web\" is not a valid name"},
		{"[deploy]\ncommand = \"x\"", "octohost.toml:2: command does not belong in [deploy]; write it below [processes.web]"},
		{"[processes.web]\ncommand = 3", "octohost.toml:2:11: a command is a string, or a list of strings"},
		{"[processes.web]\ncommand = [1]", "octohost.toml:2:12: a command is a list of strings, not 1"},
		{"[processes.web]\ncommand = []", "the command is empty"},
		{"[processes]\nweb = \" \"", "octohost.toml:2:8: the command is empty"},
		{"[processes]\nweb = \"a 'b\"", "octohost.toml:2:8: a quote is not closed"},
		{"[processes]\nweb = [\"a\\u0000\"]", "the command contains a null character"},
		{strings.Repeat("#", manifest.MaxSize+1), "octohost.toml has 65537 bytes, more than 65536"},
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
		ps, notes, err := manifest.Processes(manifest.Said{}, c.image)
		require.NoError(t, err, c.name)
		require.Equal(t, c.want, ps[0].Port, c.name)
		require.Len(t, notes, c.notes, c.name)
	}
}

func TestProcesses_SaysWhatIsIgnored(t *testing.T) {
	_, notes, err := manifest.Processes(manifest.Said{}, manifest.ImageFacts{
		Ports: []int{443, 8080, 80}, Env: []string{"PATH=/bin", "PORT=http"}, HasCommand: true,
	})
	require.NoError(t, err)
	require.Equal(t, []string{
		`The image sets PORT to "http", which is no port: ignored.`,
		"The image exposes ports 443, 8080, 80: using 8080. To choose another, write port = N below [deploy] in octohost.toml.",
	}, notes)
	m, err := manifest.Parse([]byte("[deploy]\nport = 443"))
	require.NoError(t, err)
	ps, notes, err := manifest.Processes(manifest.Said{Manifest: m}, manifest.ImageFacts{Ports: []int{443, 8080}, HasCommand: true})
	require.NoError(t, err)
	require.Equal(t, 443, ps[0].Port)
	require.Empty(t, notes)
}

func TestProcesses_NothingToRun(t *testing.T) {
	_, _, err := manifest.Processes(manifest.Said{}, manifest.ImageFacts{})
	require.ErrorIs(t, err, octo.ErrInvalid)
	require.EqualError(t, err, `the image says no command for web; add CMD ["/path/of/program"] to the Dockerfile, or a line "web: command" to the Procfile`)

	m, err := manifest.Parse([]byte("[processes.worker]\ncount = 2"))
	require.NoError(t, err)
	_, _, err = manifest.Processes(manifest.Said{Manifest: m}, manifest.ImageFacts{HasCommand: true})
	require.ErrorContains(t, err, "nothing says what to run for worker; write command = \"…\" below [processes.worker]")
}

func TestProcesses_WebIsThereUnlessAProcfileLeavesItOut(t *testing.T) {
	image := manifest.ImageFacts{HasCommand: true}
	m, err := manifest.Parse([]byte("[processes]\na = \"work\""))
	require.NoError(t, err)
	ps, notes, err := manifest.Processes(manifest.Said{Manifest: m}, image)
	require.NoError(t, err)
	require.Equal(t, []octo.Name{"web", "a"}, names(ps))
	require.Nil(t, ps[0].Command)
	require.Empty(t, notes)

	p, err := manifest.ParseProcfile([]byte("worker: work"))
	require.NoError(t, err)
	ps, notes, err = manifest.Processes(manifest.Said{Manifest: m, Procfile: p}, image)
	require.NoError(t, err)
	require.Equal(t, []octo.Name{"a", "worker"}, names(ps))
	require.Len(t, notes, 1)
	require.Contains(t, notes[0], "There is no web process")
}

func TestProcfile(t *testing.T) {
	p, err := manifest.ParseProcfile([]byte("\ufeff# a comment\nweb: bin/site -p $PORT\n\nworker:  bin/work \"a b\"\r\nrelease: migrate\nclock: TZ=UTC bin/clock"))
	require.NoError(t, err)
	require.Equal(t, manifest.Command{"/bin/sh", "-c", "bin/site -p $PORT"}, p.Commands["web"])
	require.Equal(t, manifest.Command{"bin/work", "a b"}, p.Commands["worker"])
	require.Equal(t, manifest.Command{"/bin/sh", "-c", "TZ=UTC bin/clock"}, p.Commands["clock"])
	require.Equal(t, manifest.Command{"migrate"}, p.Release)

	m, err := manifest.Parse([]byte("[processes]\nworker = {memory = \"1g\"}\nweb = \"other\""))
	require.NoError(t, err)
	ps, notes, err := manifest.Processes(manifest.Said{Manifest: m, Procfile: p}, manifest.ImageFacts{})
	require.NoError(t, err)
	require.Equal(t, []octo.Name{"web", "clock", "worker"}, names(ps))
	require.Equal(t, []string{"other"}, ps[0].Command, "octohost.toml is over the Procfile")
	require.Equal(t, 0, ps[1].Count, "as on Heroku, only web starts by itself")
	require.Equal(t, 1, ps[2].Count)
	require.EqualValues(t, 1<<30, ps[2].Memory)
	require.Empty(t, notes)

	for text, want := range map[string]string{
		"web":               `Procfile:1: this is not "name: command": "web"`,
		"\n\nweb: ":         "Procfile:3: this is not",
		"Web: x":            "Procfile:1: \"Web\" is not a valid name",
		"my_worker: x":      "it contains '_'",
		"web: x\nweb: y":    "Procfile:2: web is there twice",
		"web: 'open":        "Procfile:1: a quote is not closed",
		"web: ''":           "the command is empty",
		"web: \x00":         "Procfile:1: the command contains a null character",
		"{\"web\": \"x\"}":  "Procfile:1: this is not",
		manyProcesses():     "Procfile has more than 50 processes",
		longLine(70 << 10):  "Procfile has ",
		longLine(40 << 10):  "Procfile:1: the command is longer than 32768 bytes",
		"web: x\x1b[31m\nx": "Procfile:2: this is not",
	} {
		_, err := manifest.ParseProcfile([]byte(text))
		require.ErrorIs(t, err, octo.ErrInvalid, "%.80q", text)
		require.ErrorContains(t, err, want, "%.80q", text)
	}
	empty, err := manifest.ParseProcfile(nil)
	require.NoError(t, err)
	require.Empty(t, empty.Commands)
}

func manyProcesses() string {
	var b strings.Builder
	for i := range 51 {
		fmt.Fprintf(&b, "p%d: x\n", i)
	}
	return b.String()
}

func longLine(n int) string { return "web: " + strings.Repeat("x", n) }

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
		ps, _, err := manifest.Processes(manifest.Said{Manifest: m}, manifest.ImageFacts{HasCommand: true})
		if err != nil {
			require.ErrorIs(t, err, octo.ErrInvalid)
			return
		}
		require.Equal(t, octo.Web, ps[0].Name)
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
