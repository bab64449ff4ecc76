package daemon_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// module is the path of this module; rooms are named below it.
const module = "github.com/octohost/octohost/"

// room is what a package may know of the others.
type room struct {
	imports []string // rooms below internal/
	why     string   // why it must not know more
}

// everything is what a room imports that may know all others.
var everything = []string{"*"}

// house is the floor plan: an arrow points from a room to those it may import.
// A new arrow is a decision; write down here why it is right.
func house() map[string]room {
	return map[string]room{
		"octo":          {nil, "the words are everybody's: they know nobody, and only the standard library"},
		"failpoint":     {nil, "anybody may have a place to die"},
		"logs":          {[]string{"octo", "engine", "ring"}, "it takes lines down, whoever prints them, and knows no documents"},
		"ring":          {[]string{"octo"}, "it keeps records, whatever they mean"},
		"audit":         {[]string{"octo", "ring"}, "it keeps what it is told, and decides for nobody what may be read"},
		"store":         {[]string{"octo"}, "it keeps bytes and documents, whatever they mean"},
		"store/bolt":    {[]string{"octo", "store", "failpoint"}, "an adapter knows its seam, and no other adapter"},
		"secret":        {[]string{"octo", "store"}, "it seals bytes, whatever they mean"},
		"config":        {[]string{"octo", "store", "engine"}, "it keeps what apps are configured with; who may ask is decided before"},
		"dotenv":        {[]string{"octo"}, "it is a format: text in, values out"},
		"engine":        {[]string{"octo"}, "it is the vocabulary of a runtime, not of octohost's plans"},
		"engine/docker": {[]string{"octo", "engine"}, "an adapter knows its seam, and no other adapter"},
		"image":         {[]string{"octo", "engine"}, "a builder turns a source into an image, whoever asks"},
		"git":           {[]string{"octo"}, "a door: what a push leads to is decided behind it"},
		"sshd":          {[]string{"octo"}, "a door: it knows who came, not what they do inside"},
		"hostname":      {[]string{"octo"}, "what a name is does not depend on who has it"},
		"manifest":      {[]string{"octo"}, "it reads files that people write, and nothing else"},
		"proxy":         {[]string{"octo"}, "on the way of every request there is no store and no engine"},
		"oneoff":        {[]string{"octo", "store", "engine"}, "it runs what people ask for, and has no part in what an app is"},
		"node":          {[]string{"octo", "store", "engine", "failpoint"}, "it makes one machine follow documents, and decides nothing"},
		"plan":          {[]string{"octo"}, "it is pure: no clock, no I/O, no goroutine"},
		"control":       {[]string{"octo", "store", "plan", "failpoint"}, "it applies plans by documents, never by hand"},
		"edge":          {[]string{"octo", "store", "hostname", "failpoint"}, "who has which name is decided in one place, whoever asks"},
		"deploy":        {[]string{"octo", "store", "engine", "manifest", "failpoint"}, "it makes a release, and lets the rollout happen"},
		"platform":      {[]string{"octo", "store", "engine"}, "the use cases are the same behind every door"},
		"reap":          {[]string{"octo", "store", "engine"}, "it removes what nobody wants any more"},
		"api":           {[]string{"octo"}, "both ends of the contract, not what is behind it"},
		"cli":           {[]string{"octo", "api", "git", "daemon", "manifest", "dotenv", "hostname"}, "the client asks by the API only; git is the hook's end, daemon is octo serve"},
		"daemon":        {everything, "one place must know everybody: this one"},
	}
}

// outsiders says which rooms may import what of other people, by the beginning of
// the path: what is outside has one door.
func outsiders() map[string][]string {
	return map[string][]string{
		"github.com/moby/":                {"engine/docker"},
		"github.com/moby/patternmatcher":  {"image"}, // the rules of .dockerignore
		"github.com/containerd/":          {"engine/docker"},
		"go.etcd.io/bbolt":                {"store/bolt"},
		"github.com/spf13/":               {"cli"},
		"golang.org/x/term":               {"cli"},
		"golang.org/x/crypto/ssh":         {"sshd"},
		"golang.org/x/net/":               {"hostname"},
		"golang.org/x/crypto/chacha20":    {"secret"},
		"golang.org/x/crypto/nacl/":       {"secret"},
		"github.com/BurntSushi/toml":      {"manifest", "cli"},
		"github.com/google/uuid":          {"proxy", "platform"},
		"golang.org/x/sync/errgroup":      everything,
		"golang.org/x/sys/unix":           everything,
		"github.com/creack/pty":           {},
		"github.com/stretchr/testify/":    {},
		"pgregory.net/rapid":              {},
		"github.com/rogpeppe/go-internal": {},
	}
}

// pkg is what go list says of a package.
type pkg struct {
	ImportPath   string
	Doc          string
	Standard     bool
	Imports      []string
	TestImports  []string
	XTestImports []string
}

// room returns the package's name below internal/, or below the module.
func (p pkg) room() string {
	return strings.TrimPrefix(strings.TrimPrefix(p.ImportPath, module), "internal/")
}

// forTests reports whether a package serves tests only: storetest, enginetest with
// its programs, test/story.
func (p pkg) forTests() bool {
	return slices.ContainsFunc(strings.Split(p.room(), "/"), func(part string) bool { return strings.HasSuffix(part, "test") })
}

// list asks the go command about packages.
func list(t *testing.T, args ...string) []pkg {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Doc,Standard,Imports,TestImports,XTestImports"}, args...)...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOFLAGS=-mod=readonly")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "%s", stderr.String())
	var pkgs []pkg
	for decoder := json.NewDecoder(bytes.NewReader(out)); ; {
		var p pkg
		err := decoder.Decode(&p)
		if errors.Is(err, io.EOF) {
			return pkgs
		}
		require.NoError(t, err)
		pkgs = append(pkgs, p)
	}
}

// rooms returns the packages that are built into the program.
func rooms(t *testing.T) []pkg {
	t.Helper()
	return slices.DeleteFunc(list(t, "./internal/..."), pkg.forTests)
}

func TestHouse_ArrowsPointOneWay(t *testing.T) {
	plan := house()
	for _, p := range rooms(t) {
		r, known := plan[p.room()]
		if !known {
			t.Errorf("%s is not in the house: add it to the table in this file, with what it may import and why not more", p.room())
			continue
		}
		for _, imported := range p.Imports {
			other, ours := strings.CutPrefix(imported, module+"internal/")
			if ours && !slices.Contains(r.imports, other) && !slices.Equal(r.imports, everything) {
				t.Errorf("%s imports %s, but may import only %v: %s", p.room(), other, r.imports, r.why)
			}
		}
	}
}

func TestHouse_TheTableIsTrue(t *testing.T) {
	exists := map[string]bool{}
	for _, p := range rooms(t) {
		exists[p.room()] = true
	}
	for name, r := range house() {
		require.NotEmpty(t, r.why, "%s: say why", name)
		require.True(t, exists[name], "%s is in the table, but not in the house", name)
	}
}

func TestHouse_TheOutsideHasOneDoor(t *testing.T) {
	doors := outsiders()
	for _, p := range rooms(t) {
		for _, imported := range p.Imports {
			if host, _, _ := strings.Cut(imported, "/"); !strings.Contains(host, ".") || strings.HasPrefix(imported, module) {
				continue // the standard library, or ours
			}
			allowed := false
			for prefix, by := range doors {
				allowed = allowed || strings.HasPrefix(imported, prefix) && (slices.Equal(by, everything) || slices.Contains(by, p.room()))
			}
			if !allowed {
				t.Errorf("%s imports %s: no door of the house leads there from this room", p.room(), imported)
			}
		}
	}
}

func TestHouse_TheProgramIsOneCall(t *testing.T) {
	main := list(t, "./cmd/octo")
	require.Len(t, main, 1)
	for _, imported := range main[0].Imports {
		if other, ours := strings.CutPrefix(imported, module); ours {
			require.Equal(t, "internal/cli", other, "cmd/octo hands everything to the cli")
		}
	}
}

func TestHouse_NoTestCodeInTheProgram(t *testing.T) {
	for _, p := range list(t, "-deps", "./cmd/octo") {
		for _, unwanted := range []string{"testing", "net/http/httptest", "github.com/stretchr/", "pgregory.net/rapid"} {
			require.False(t, p.ImportPath == unwanted || strings.HasSuffix(unwanted, "/") && strings.HasPrefix(p.ImportPath, unwanted),
				"octo contains %s", p.ImportPath)
		}
		require.False(t, strings.HasPrefix(p.ImportPath, module) && p.forTests(), "octo contains %s", p.ImportPath)
	}
}

// Of testify only require: two ways to say the same thing are one too many, and
// mocks test themselves.
func TestHouse_TestsUseRequireOnly(t *testing.T) {
	for _, p := range list(t, "./...") {
		for _, imported := range slices.Concat(p.Imports, p.TestImports, p.XTestImports) {
			if rest, ok := strings.CutPrefix(imported, "github.com/stretchr/testify/"); ok {
				require.Equal(t, "require", rest, "%s", p.ImportPath)
			}
		}
	}
}

func TestHouse_EveryPackageSaysWhatItIs(t *testing.T) {
	for _, p := range list(t, "./...") {
		if path.Base(p.ImportPath) == "story" {
			continue // tests only, there is nothing to document
		}
		if p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
	}
}
