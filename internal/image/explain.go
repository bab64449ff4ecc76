package image

import (
	"errors"
	"regexp"
	"strings"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
)

// explain says in plain words why a build failed, where that is the builder's doing.
// The three builders word the same failures differently, and so do their versions.
func explain(err error) error {
	failed, ok := errors.AsType[*engine.BuildError](err)
	if !ok {
		return err
	}
	for _, c := range causes() {
		if found := c.pattern.FindStringSubmatch(failed.Message); found != nil {
			return c.explain(where(failed.Step), found[len(found)-1])
		}
	}
	return octo.Errorf(octo.ErrInvalid, "the build failed%s: %s", where(failed.Step), shorten(failed.Message))
}

// cause is something that builds fail of.
type cause struct {
	pattern *regexp.Regexp
	// explain gets " at STEP", or nothing, and the last group of the pattern.
	explain func(at, detail string) *octo.Error
}

// causes are in the order in which they are looked for: the general ones last.
func causes() []cause {
	return append(machineCauses(), sourceCauses()...)
}

// machineCauses are not the fault of the one who pushed.
func machineCauses() []cause {
	return []cause{
		{
			regexp.MustCompile(`(no space left on device|disk quota exceeded)`),
			func(at, _ string) *octo.Error {
				return octo.Errorf(octo.ErrUnavailable, "the disk of this machine is full; the build stopped%s", at).
					WithHint("ask its operator to make room (octo doctor shows how much there is)")
			},
		},
		{
			regexp.MustCompile(`(?:lookup|dial|Get|Head|do request).*(no such host|connection refused|i/o timeout|network is unreachable|TLS handshake timeout|Client\.Timeout exceeded|server misbehaving)`),
			func(at, why string) *octo.Error {
				return octo.Errorf(octo.ErrUnavailable, "the registry of the base image cannot be reached%s: %s", at, why).
					WithHint("check the image's name in FROM, and this machine's network and DNS")
			},
		},
		{
			regexp.MustCompile(`(toomanyrequests|[Tt]oo [Mm]any [Rr]equests)`),
			func(at, _ string) *octo.Error {
				return octo.Errorf(octo.ErrUnavailable, "the registry of the base image allows no more pulls for now%s", at).
					WithHint("push again later")
			},
		},
	}
}

func sourceCauses() []cause {
	return []cause{
		{
			regexp.MustCompile(`secret "?([A-Za-z0-9_.-]+)"?:? not found`),
			func(at, id string) *octo.Error {
				return octo.Errorf(octo.ErrInvalid, "the Dockerfile needs the build secret %s%s, which octohost.toml does not name", id, at).
					WithHint("add it: [build] secrets = [%q]; and set it: octo config:set %s=…", id, id)
			},
		},
		{
			regexp.MustCompile(`(?is)dockerfile parse error(?: on)? (line \d+: .*)`),
			func(_, what string) *octo.Error {
				return octo.Errorf(octo.ErrInvalid, "the Dockerfile is broken, %s", shorten(what)).
					WithHint("mend it, commit, and push again")
			},
		},
		{
			regexp.MustCompile(`(?i)(file with no instructions|cannot be empty|no build stage in current context|the Dockerfile \(.*\) is empty)`),
			func(_, what string) *octo.Error {
				return octo.Errorf(octo.ErrInvalid, "the Dockerfile has no FROM that begins an image (%s)", what).
					WithHint("begin it with FROM, for example: FROM nginx")
			},
		},
		{
			regexp.MustCompile(`(?:requires BuildKit|[Uu]nknown flag: (?:mount|link|chmod|parents|exclude))()`),
			func(at, _ string) *octo.Error {
				return octo.Errorf(octo.ErrInvalid, "the build failed%s: this octohost is set to the classic builder, which does not know that", at).
					WithHint("ask its operator to set build.builder to auto")
			},
		},
		{
			regexp.MustCompile(`(?i)(pull access denied|manifest unknown|manifest for .* not found|repository does not exist|insufficient_scope|401 Unauthorized|file not found in build context|" not found|: not found$)()`),
			notThere,
		},
		{
			regexp.MustCompile(`(?i)(stat /bin/(?:ba)?sh: no such file|exec: "/bin/(?:ba)?sh")()`),
			func(at, _ string) *octo.Error {
				return octo.Errorf(octo.ErrInvalid, "the build failed%s: the image has no shell to run it", at).
					WithHint("write it as a list, RUN [\"/program\", \"argument\"], or use a base image with a shell")
			},
		},
		{
			regexp.MustCompile(`(?:exec: )?"?([^":\s]+)"?: (?:executable file not found|stat .*: no such file)`),
			func(at, program string) *octo.Error {
				return octo.Errorf(octo.ErrInvalid, "the build failed%s: there is no %s in the image", at, program).
					WithHint("check its name, and that an earlier step or the base image brings it")
			},
		},
		{
			regexp.MustCompile(`(exec format error)`),
			func(at, _ string) *octo.Error {
				return octo.Errorf(octo.ErrInvalid, "the build failed%s: the program is for another kind of machine", at).
					WithHint("build it for Linux on this machine's processor")
			},
		},
		{regexp.MustCompile(`(?:exit code|non-zero code): (\d+)`), exited},
	}
}

// notThere explains what a builder did not find: a file of a COPY, or a base image.
func notThere(at, _ string) *octo.Error {
	if strings.Contains(at, "COPY ") || strings.Contains(at, "ADD ") {
		return octo.Errorf(octo.ErrInvalid, "the build failed%s: there is no such file in what was pushed", at).
			WithHint("commit it, and check that .dockerignore does not leave it out")
	}
	return octo.Errorf(octo.ErrInvalid, "the build failed%s: there is no such image, or it is private", at).
		WithHint("check the name and tag in FROM")
}

func exited(at, code string) *octo.Error {
	oops := octo.Errorf(octo.ErrInvalid, "the build failed%s: exit code %s", at, code)
	switch code {
	case "137":
		return oops.WithHint("it was killed, most likely because it used more memory than a build may")
	case "127":
		return oops.WithHint("a command is not there: check its name, and that an earlier step or the base image brings it")
	case "126":
		return oops.WithHint("a file is not executable: chmod +x it, commit, and push again")
	}
	return oops.WithHint("what it printed is above")
}

func where(step string) string {
	if step == "" {
		return ""
	}
	return " at " + step
}

// shorten takes the builder's prefaces off a message, and keeps it to a line.
func shorten(message string) string {
	for _, preface := range []string{"failed to solve with frontend dockerfile.v0: ", "failed to solve: ", "failed to create LLB definition: "} {
		message = strings.TrimPrefix(message, preface)
	}
	line, _, _ := strings.Cut(strings.TrimSpace(message), "\n")
	const most = 500
	if len(line) > most {
		line = strings.ToValidUTF8(line[:most], "") + "…"
	}
	return line
}
