package cli

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/octohost/octohost/internal/octo"
)

// programFlags say how a program is run.
type programFlags struct {
	env    []string
	memory string
	bare   bool
}

func (f *programFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.StringArrayVarP(&f.env, "env", "e", nil, "NAME=value, over the configuration; may be given again")
	flags.StringVar(&f.memory, "memory", "", "its limit of memory: 512M, 2G")
	flags.BoolVar(&f.bare, "no-entrypoint", false, "run the command in place of the image's entrypoint")
}

// program returns what the flags say of a command.
func (f *programFlags) program(command []string) (octo.Program, error) {
	p := octo.Program{Command: command, Env: f.env, Bare: f.bare}
	for _, e := range f.env {
		if name, _, ok := strings.Cut(e, "="); !ok {
			return p, usage("write --env NAME=value", "%.40q has no value", name)
		}
	}
	if f.memory != "" {
		size, err := octo.ParseSize(f.memory)
		if err != nil {
			return p, usageError{err}
		}
		p.Memory = int64(size)
	}
	return p, nil
}

// terminalFlags say whether a program gets a terminal.
type terminalFlags struct{ tty, noTTY, interactive bool }

func (f *terminalFlags) add(cmd *cobra.Command) {
	flags := cmd.Flags()
	flags.BoolVarP(&f.tty, "tty", "t", false, "with a terminal, also where input or output is none here")
	flags.BoolVarP(&f.noTTY, "no-tty", "T", false, "without a terminal")
	flags.BoolVarP(&f.interactive, "interactive", "i", false, "pass input on; it always is")
}

// over gives a program the terminal that it should have.
func (f *terminalFlags) over(p *octo.Program, console octo.Console) error {
	if f.tty && f.noTTY {
		return usage("leave one of them out", "both -t and -T say whether there is a terminal")
	}
	if console != nil {
		p.Term, p.Window = console.Terminal()
	}
	p.Terminal = f.tty || p.Term != "" && !f.noTTY
	switch {
	case !p.Terminal:
		p.Term, p.Window = "", octo.Window{}
	case p.Term == "":
		p.Term, p.Window = "xterm", octo.Window{Columns: 80, Rows: 24}
	}
	return nil
}

// dashed splits arguments at "--"; without one, all are before it, and ok is false.
func dashed(cmd *cobra.Command, args []string) (before, behind []string, ok bool) {
	if at := cmd.ArgsLenAtDash(); at >= 0 {
		return args[:at], args[at:], true
	}
	return args, nil, false
}

// flagsFirst lets what looks like a flag belong to the command that is to be run, from
// its first word on. Where there is a "--" that separates them, flags may be anywhere
// before it.
func (s *session) flagsFirst(cmd *cobra.Command) {
	cmd.Flags().SetInterspersed(slices.Contains(s.args, "--"))
}

// appAndCommand returns the app that is meant, and what is to be run: all words
// where something else says which app, else those behind the first.
func (s *session) appAndCommand(ctx context.Context, cmd *cobra.Command, args []string) (octo.Name, []string, error) {
	words, command, ok := dashed(cmd, args)
	if ok && len(words) > 1 {
		return "", nil, usage("see: "+cmd.CommandPath()+" --help", "only the app stands before --, not %.40q", words[1])
	}
	if !ok {
		near, err := s.anApp(ctx, nil)
		if err != nil {
			return "", nil, err
		}
		named := s.app == "" && len(words) > 0 && (near == "" || len(words) > 1 && words[0] == string(near))
		words, command = nil, args
		if named {
			words, command = args[:1], args[1:]
		}
	}
	app, err := s.theApp(ctx, words)
	if err == nil && len(command) == 0 {
		err = usage("name it: "+cmd.CommandPath()+" -a "+string(app)+" -- COMMAND", "what is to run in %s?", app)
	}
	return app, command, err
}

type runCommand struct {
	s *session
	programFlags
	terminalFlags
}

func newRunCommand(s *session) *cobra.Command {
	c := &runCommand{s: s}
	cmd := &cobra.Command{
		Use:   "run [APP] -- COMMAND",
		Short: "Run a program in the image of an app",
		Long: `Run a program in the image of an app's release, with its configuration, in a container of
its own, and be attached to it: input, output, signals, exit code. It ends with the
connection; what must not is for run:detached.

A single word that names a process of the app, such as worker, stands for its command.
Without -- the whole line is the command, behind the app where nothing else names it.
There is a terminal where input and output are one.`,
		Example: `  octo run hello -- rails db:migrate
  octo run -a hello rails console
  octo run -a hello --env LOG_LEVEL=debug --memory 1G -- rails runner Report.print`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: s.completeApp,
		RunE:              c.run,
	}
	s.flagsFirst(cmd)
	c.programFlags.add(cmd)
	c.terminalFlags.add(cmd)
	return cmd
}

func (c *runCommand) run(cmd *cobra.Command, args []string) error {
	ctx := cmd.Context()
	app, command, err := c.s.appAndCommand(ctx, cmd, args)
	if err != nil {
		return err
	}
	p, err := c.program(command)
	if err == nil {
		err = c.over(&p, c.s.env.Console)
	}
	if err != nil {
		return err
	}
	return c.s.attend(ctx, p, func(ctx context.Context, at octo.Attachment) (octo.Exit, error) {
		client, err := c.s.open(ctx)
		if err != nil {
			return octo.Exit{}, err
		}
		return client.Run(ctx, app, p, at)
	})
}

// attend connects the person with a program, which run runs, and ends as it does.
func (s *session) attend(ctx context.Context, p octo.Program, run func(context.Context, octo.Attachment) (octo.Exit, error)) error {
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	v := &visit{s: s, p: p, leave: leave, controls: make(chan octo.Control), began: make(chan struct{}), over: make(chan struct{})}
	defer v.end()
	s.attending = true
	exit, err := run(ctx, octo.Attachment{In: v, Out: s.env.Out, Err: s.env.Err, Controls: v.controls, Began: v.begin})
	v.end()
	switch {
	case v.left():
		return exitError(exitInterrupted)
	case err != nil:
		return err
	}
	if exit.Message != "" {
		s.explain(octo.Errorf(octo.ErrInvalid, "%s", exit.Message).WithHint("%s", exit.Hint))
	}
	if exit.Code != 0 {
		return exitError(exit.Code)
	}
	return nil
}

// interrupts is how often a person presses Ctrl-C before they no longer wait for a
// program that ignores it.
const interrupts = 3

// visit is a person's time with a program.
type visit struct {
	s        *session
	p        octo.Program
	leave    func()
	controls chan octo.Control
	began    chan struct{} // closed when the program runs
	over     chan struct{} // closed when it does not any more
	once     sync.Once
	relaying sync.WaitGroup
	release  func()

	mu   sync.Mutex
	gone bool // the person did not wait for the end
}

// begin hands the console over to the program.
func (v *visit) begin(r octo.Run) {
	defer close(v.began)
	if v.s.env.Console == nil {
		return
	}
	kind, _ := v.s.env.Console.Terminal()
	controls, release, err := v.s.env.Console.Take(v.p.Terminal && kind != "")
	if err != nil {
		v.s.progress("this terminal cannot be handed over: %v", err)
		return
	}
	v.release = release
	if v.p.Terminal && r.Name != "" {
		_, _ = fmt.Fprintf(v.s.env.Err, "%s in %s of %s\r\n", r.Name, octo.Version(r.Release), r.App) // nobody minds
	}
	v.relaying.Go(func() { v.relay(controls) })
}

// relay passes on what the person does, until the program has ended or they lose
// their patience.
func (v *visit) relay(controls <-chan octo.Control) {
	pressed, size := 0, v.p.Window
	for {
		var c octo.Control
		select {
		case c = <-controls:
		case <-v.over:
			return
		}
		if c.Signal == "" && c.Window == size {
			continue // it has that already
		}
		if c.Signal == "INT" {
			pressed++
		}
		if c.Signal == "HUP" || pressed == interrupts {
			v.mu.Lock()
			v.gone = true
			v.mu.Unlock()
			v.leave()
			return
		}
		if pressed == interrupts-1 && c.Signal == "INT" {
			v.s.progress("press Ctrl-C once more to end it without waiting")
		}
		if c.Signal == "" {
			size = c.Window
		}
		select {
		case v.controls <- c:
		case <-v.over:
			return
		}
	}
}

func (v *visit) left() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.gone
}

// end takes the console back.
func (v *visit) end() {
	v.once.Do(func() {
		close(v.over)
		v.relaying.Wait()
		if v.release != nil {
			v.release()
		}
	})
}

// Read reads what the person types, once the program runs: until then a terminal is
// theirs, and input is not for a program that never was.
func (v *visit) Read(p []byte) (int, error) {
	select {
	case <-v.began:
		return v.s.env.In.Read(p)
	case <-v.over:
		return 0, io.EOF
	}
}

// Close does nothing: a terminal stays, and nothing ends a Read of it.
func (v *visit) Close() error { return nil }

// parseTTL reads --ttl: a duration, or days.
func parseTTL(text string) (octo.Duration, error) {
	if text == "" {
		return 0, nil
	}
	now := time.Now()
	ago, ok := parseSince(text, now)
	ttl := octo.Duration(now.Sub(ago))
	if !ok || ttl < octo.MinTTL || ttl > octo.MaxTTL {
		return 0, usage("write for example --ttl 2h or --ttl 3d", "%.40q is not a time from %s to 7d", text, octo.MinTTL.Std())
	}
	return ttl, nil
}
