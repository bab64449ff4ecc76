package daemon_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// root is the top of the repository, from here.
const root = "../.."

// The limits of the house. What separates code that is a pleasure to read from code
// that is not is the long end, so that is what is bounded most.
const (
	maxFunc, p99Func, medianFunc = 60, 45, 10 // lines
	maxFile                      = 400        // lines
	maxInterface                 = 7          // methods
	maxParameters                = 4          // of a constructor
)

// source is one Go file.
type source struct {
	path  string
	lines int
	fset  *token.FileSet
	file  *ast.File
}

func (s source) isTest() bool { return strings.HasSuffix(s.path, "_test.go") }

// at says where a node is.
func (s source) at(n ast.Node) string {
	p := s.fset.Position(n.Pos())
	return p.String()
}

// length is how many lines a node has.
func (s source) length(n ast.Node) int {
	return s.fset.Position(n.End()).Line - s.fset.Position(n.Pos()).Line + 1
}

// sources parses every Go file of the repository.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && path != root && (d.Name()[0] == '.' || d.Name() == "testdata"):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(path, ".go"):
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, path, text, parser.ParseComments|parser.SkipObjectResolution)
		if err == nil {
			all = append(all, source{path: path, lines: strings.Count(string(text), "\n"), fset: fset, file: file})
		}
		return err
	}))
	require.NotEmpty(t, all)
	return all
}

// each calls f with every node of type N in the files that are not tests.
func each[N ast.Node](t *testing.T, f func(s source, n N)) {
	t.Helper()
	for _, s := range sources(t) {
		if s.isTest() {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if n, ok := n.(N); ok {
				f(s, n)
			}
			return true
		})
	}
}

func TestHouse_FunctionsAreShort(t *testing.T) {
	var lengths []int
	each(t, func(s source, f *ast.FuncDecl) {
		n := s.length(f)
		lengths = append(lengths, n)
		if n > maxFunc {
			t.Errorf("%s: %s has %d lines; at most %d", s.at(f), f.Name.Name, n, maxFunc)
		}
	})
	slices.Sort(lengths)
	median, p99 := lengths[len(lengths)/2], lengths[len(lengths)*99/100]
	t.Logf("%d functions, lines: median %d, 99%% at most %d, longest %d", len(lengths), median, p99, lengths[len(lengths)-1])
	require.LessOrEqual(t, median, medianFunc)
	require.LessOrEqual(t, p99, p99Func)
}

func TestHouse_FilesAreShort(t *testing.T) {
	for _, s := range sources(t) {
		if !s.isTest() && s.lines > maxFile {
			t.Errorf("%s has %d lines; at most %d", s.path, s.lines, maxFile)
		}
	}
}

func TestHouse_InterfacesAreSmall(t *testing.T) {
	each(t, func(s source, spec *ast.TypeSpec) {
		if i, ok := spec.Type.(*ast.InterfaceType); ok && i.Methods.NumFields() > maxInterface {
			t.Errorf("%s: %s has %d methods; at most %d", s.at(spec), spec.Name.Name, i.Methods.NumFields(), maxInterface)
		}
	})
}

func TestHouse_ConstructorsTakeFewParameters(t *testing.T) {
	each(t, func(s source, f *ast.FuncDecl) {
		if f.Recv == nil && strings.HasPrefix(f.Name.Name, "New") && f.Type.Params.NumFields() > maxParameters {
			t.Errorf("%s: %s takes %d parameters; at most %d, then a Config", s.at(f), f.Name.Name, f.Type.Params.NumFields(), maxParameters)
		}
	})
}

func TestHouse_NothingHappensAtInit(t *testing.T) {
	each(t, func(s source, f *ast.FuncDecl) {
		if f.Recv == nil && f.Name.Name == "init" {
			t.Errorf("%s: call it from where it is needed, not from init", s.at(f))
		}
	})
}

// A sleep in a test that waits for something is either too short on a busy machine or
// a waste on an idle one. A comment on its line says what else it is for.
func TestHouse_TestsDoNotSleep(t *testing.T) {
	for _, s := range sources(t) {
		if !s.isTest() {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if f, ok := call.Fun.(*ast.SelectorExpr); ok && f.Sel.Name == "Sleep" {
				if x, ok := f.X.(*ast.Ident); ok && x.Name == "time" && !inBubble(s) && !explained(s, call) {
					t.Errorf("%s: wait for something instead of sleeping", s.at(call))
				}
			}
			return true
		})
	}
}

// inBubble reports whether a file uses testing/synctest, where sleeping is exact
// and takes no time.
func inBubble(s source) bool {
	return slices.ContainsFunc(s.file.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"testing/synctest"` })
}

// explained reports whether there is a comment on the line of a node.
func explained(s source, n ast.Node) bool {
	return slices.ContainsFunc(s.file.Comments, func(c *ast.CommentGroup) bool {
		return s.fset.Position(c.Pos()).Line == s.fset.Position(n.Pos()).Line
	})
}

func TestHouse_ExportedNamesAreExplained(t *testing.T) {
	for _, s := range sources(t) {
		if s.isTest() || s.file.Name.Name == "main" {
			continue
		}
		for _, d := range s.file.Decls {
			for _, missing := range undocumented(d) {
				t.Errorf("%s: %s has no comment that says what it means", s.at(missing), missing.Name)
			}
		}
	}
}

// undocumented returns the exported names in a declaration that have no comment.
func undocumented(d ast.Decl) []*ast.Ident {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Name.IsExported() && d.Doc == nil && !hiddenReceiver(d) {
			return []*ast.Ident{d.Name}
		}
	case *ast.GenDecl:
		if d.Doc == nil {
			return undocumentedSpecs(d.Specs)
		}
	}
	return nil
}

// hiddenReceiver reports whether f is a method of a type that nobody outside sees:
// what it means is said where the interface that asks for it is.
func hiddenReceiver(f *ast.FuncDecl) bool {
	if f.Recv == nil {
		return false
	}
	of := f.Recv.List[0].Type
	for {
		switch x := of.(type) {
		case *ast.StarExpr:
			of = x.X
		case *ast.IndexExpr:
			of = x.X
		case *ast.Ident:
			return !x.IsExported()
		default:
			return false
		}
	}
}

func undocumentedSpecs(specs []ast.Spec) []*ast.Ident {
	var names []*ast.Ident
	for _, spec := range specs {
		switch spec := spec.(type) {
		case *ast.TypeSpec:
			if spec.Doc == nil && spec.Comment == nil {
				names = append(names, spec.Name)
			}
		case *ast.ValueSpec:
			if spec.Doc == nil && spec.Comment == nil {
				names = append(names, spec.Names...)
			}
		}
	}
	return slices.DeleteFunc(names, func(n *ast.Ident) bool { return !n.IsExported() })
}
