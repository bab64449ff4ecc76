package oneoff

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

func TestAttach_IsAConversation(t *testing.T) {
	inBubble(t, func(r *rig) {
		v := r.attach(tool("cat"))
		run := <-v.began
		require.Regexp(t, `^run\.[a-z2-7]{5}$`, run.Name)
		require.Equal(t, "/testapp cat", run.Command)
		require.Equal(t, 1, run.Release)
		require.True(t, run.Attached)
		_, err := io.WriteString(v.typed, "a\x00b")
		require.NoError(t, err)
		require.NoError(t, v.typed.Close())
		<-v.done
		require.NoError(t, v.failed)
		require.Equal(t, octo.Exit{}, v.exit)
		require.Equal(t, "a\x00b", v.out.String())
		synctest.Wait()
		require.Empty(t, r.containers(), "nothing is left")
		require.Equal(t, []string{"octo-hello." + run.Name}, r.returned)
		require.Equal(t, []octo.EventKind{octo.EventRunStarted}, r.kinds())
	})
}

func TestAttach_Ends(t *testing.T) {
	inBubble(t, func(r *rig) {
		for _, c := range []struct {
			program octo.Program
			exit    octo.Exit
		}{
			{tool("exit", "7"), octo.Exit{Code: 7}},
			{octo.Program{Command: []string{"worker"}}, octo.Exit{}},
			{tool("eat"), octo.Exit{Code: 137, Message: "was killed: it used more than its 512.0 MiB of memory", Hint: "give it more with --memory"}},
			{octo.Program{Command: []string{"nosuch"}}, octo.Exit{Code: 127, Message: "there is no nosuch in the image of hello", Hint: "name a program that is in it, with its path where it is not in PATH"}},
			{octo.Program{Command: []string{"sh", "-c", "x"}}, octo.Exit{Code: 127, Message: "there is no sh in the image of hello", Hint: "an image FROM scratch, or a distroless one, has no shell; name a program that is in it"}},
		} {
			v := r.attach(c.program)
			run := <-v.began
			<-v.done
			require.NoError(t, v.failed)
			v.exit.Message = strings.TrimPrefix(v.exit.Message, run.Name+" ")
			require.Equal(t, c.exit, v.exit)
		}
		for _, c := range []struct {
			program octo.Program
			kind    error
		}{
			{octo.Program{}, octo.ErrInvalid},
			{octo.Program{Command: []string{""}}, octo.ErrInvalid},
			{octo.Program{Command: []string{"a\x00b"}}, octo.ErrInvalid},
			{octo.Program{Command: []string{"a"}, Memory: 1}, octo.ErrInvalid},
			{octo.Program{Command: []string{"a"}, TTL: octo.MaxTTL + 1}, octo.ErrInvalid},
			{octo.Program{Command: []string{"a"}, Env: []string{"A"}}, octo.ErrInvalid},
			{octo.Program{Command: []string{"a"}, Env: []string{"PORT=1"}}, octo.ErrInvalid},
			{octo.Program{Command: []string{"a"}, Env: []string{"A=\x00"}}, octo.ErrInvalid},
		} {
			_, err := r.Attach(t.Context(), ann, "hello", c.program, octo.Attachment{Out: io.Discard})
			require.ErrorIs(t, err, c.kind, "%+v", c.program)
		}
	})
}

// Those who leave take their program along: it is asked to end, then killed, and
// nothing is left of it.
func TestAttach_EndsWithItsClient(t *testing.T) {
	inBubble(t, func(r *rig) {
		v := r.attach(tool("signals", "9"))
		name := "octo-hello." + (<-v.began).Name
		synctest.Wait()
		v.leave()
		<-v.done
		require.ErrorIs(t, v.failed, context.Canceled)
		synctest.Wait()
		require.Equal(t, engine.StateRunning, r.containers()[name], "it ignores SIGTERM")
		after(octo.DefaultGrace.Std() + time.Second)
		require.Empty(t, r.containers())
		require.Equal(t, []string{name}, r.returned)
	})
}

func TestAttach_Controls(t *testing.T) {
	inBubble(t, func(r *rig) {
		p := tool("window", "2")
		p.Terminal, p.Term, p.Window = true, "xterm", octo.Window{Columns: 80, Rows: 24}
		v := r.attach(p)
		<-v.began
		synctest.Wait()
		v.controls <- octo.Control{Window: octo.Window{Columns: 100, Rows: 30}}
		<-v.done
		require.NoError(t, v.failed)
		require.Equal(t, "80x24\n100x30\n", v.out.String())

		v = r.attach(tool("signals", "1"))
		<-v.began
		v.controls <- octo.Control{Signal: "INT"}
		<-v.done
		require.Equal(t, "ready\nINT\n", v.out.String())
	})
}

func TestAttach_HasItsEnvironment(t *testing.T) {
	inBubble(t, func(r *rig) {
		p := tool("env", "A", "B", "C", "D", "TERM", "PORT", "OCTOHOST_APP", "OCTOHOST_RELEASE", "OCTOHOST_PROCESS")
		p.Terminal, p.Term, p.Env = true, "vt100", []string{"C=mine", "TERM=other"}
		v := r.attach(p)
		run := <-v.began
		<-v.done
		require.Equal(t, "A=image\nB=config\nC=mine\nD=config\nTERM=other\nPORT=5000\nOCTOHOST_APP=hello\nOCTOHOST_RELEASE=v1\nOCTOHOST_PROCESS=run\n", v.out.String())
		require.Equal(t, int64(octo.DefaultMemory), run.Memory)
	})
}

func TestLike(t *testing.T) {
	web, worker, run := octo.NewProcess(octo.Web, 5000), octo.NewProcess("worker", 0), octo.NewProcess("run", 0)
	worker.Command, run.Memory = []string{"work"}, 1<<30
	one := int64(77)
	for name, c := range map[string]struct {
		release octo.Release
		command []string
		like    octo.Name
		runs    []string
	}{
		"web":              {octo.Release{Processes: []octo.Process{worker, web}}, []string{"ls"}, octo.Web, []string{"ls"}},
		"run":              {octo.Release{Processes: []octo.Process{worker, web, run}}, []string{"ls"}, "run", []string{"ls"}},
		"only workers":     {octo.Release{Processes: []octo.Process{worker}}, []string{"ls"}, "worker", []string{"ls"}},
		"nothing declared": {octo.Release{}, []string{"ls"}, "run", []string{"ls"}},
		"a process":        {octo.Release{Processes: []octo.Process{web, worker}}, []string{"worker"}, "worker", []string{"work"}},
		"the image's own":  {octo.Release{Processes: []octo.Process{web, worker}}, []string{"web"}, octo.Web, nil},
		"with arguments":   {octo.Release{Processes: []octo.Process{web, worker}}, []string{"worker", "-x"}, octo.Web, []string{"worker", "-x"}},
	} {
		p, command := like(c.release, c.command)
		require.Equal(t, c.like, p.Name, name)
		require.Equal(t, c.runs, command, name)
	}
	scaled := octo.Release{Declared: []octo.Process{web}, Settings: octo.Settings{Formation: map[octo.Name]octo.Formation{octo.Web: {Memory: &one}}}}
	p, _ := like(scaled, []string{"ls"})
	require.Equal(t, one, p.Memory, "limits that people have set")
}

func TestDetach_GoesOnAndEndsInTime(t *testing.T) {
	inBubble(t, func(r *rig) {
		ctx := context.Background()
		p := tool("sleep", "100h")
		p.TTL = octo.Duration(2 * time.Hour)
		long, err := r.Detach(ctx, ann, "hello", p)
		require.NoError(t, err)
		short, err := r.Detach(ctx, ann, "hello", tool("say", "one", "two"))
		require.NoError(t, err)
		require.Equal(t, octo.DefaultTTL.Std(), short.Expires.Sub(short.Started).Round(time.Minute))
		synctest.Wait()
		require.Equal(t, []octo.EventKind{octo.EventRunStarted, octo.EventRunStarted, octo.EventRunEnded}, r.kinds())
		var lines []string
		for l, err := range r.RunLogs(ctx, "hello", short.Name, octo.LogQuery{}) {
			require.NoError(t, err)
			lines = append(lines, fmt.Sprint(l.Process, " ", l.Instance, " ", l.Text))
		}
		require.Equal(t, []string{"run " + short.Name + " one", "run " + short.Name + " two"}, lines)

		r.stop() // a restart of octo is nobody's business
		r.start()
		after(time.Hour)
		states := func() map[string]octo.RunState {
			found := map[string]octo.RunState{}
			runs, err := r.Runs(ctx, "hello")
			require.NoError(t, err)
			for _, run := range runs {
				found[run.Name] = run.State
			}
			return found
		}
		require.Equal(t, map[string]octo.RunState{long.Name: octo.RunRunning, short.Name: octo.RunEnded}, states())
		after(time.Hour + 2*tendEvery)
		require.Equal(t, map[string]octo.RunState{long.Name: octo.RunEnded, short.Name: octo.RunEnded}, states())
		after(22 * time.Hour)
		require.Equal(t, map[string]octo.RunState{long.Name: octo.RunEnded}, states(), "it is kept for a day")
		stopped, err := r.StopRun(ctx, ann, "hello", long.Name)
		require.NoError(t, err)
		require.Equal(t, 143, stopped.ExitCode)
		require.Empty(t, r.containers())
		_, err = r.StopRun(ctx, ann, "hello", long.Name)
		require.ErrorIs(t, err, octo.ErrNotFound)
	})
}

// What an octo that was killed leaves is looked after by the next: what was attached
// ends, what was detached goes on, what never began goes.
func TestRun_LooksAfterWhatACrashLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.start()
		detached, err := r.Detach(context.Background(), ann, "hello", tool("sleep", "1h"))
		require.NoError(t, err)
		v := r.attach(tool("sleep", "1h"))
		attached := "octo-hello." + (<-v.began).Name
		r.Runner.mu.Lock()
		r.minded = map[string]*ending{} // as if this were another process
		r.Runner.mu.Unlock()
		r.stop()
		synctest.Wait()
		require.Equal(t, engine.StateExited, r.containers()[attached], "an orderly end takes it along")

		v = r.attach(tool("sleep", "1h"))
		crashed := "octo-hello." + (<-v.began).Name
		require.Equal(t, engine.StateRunning, r.containers()[crashed], "nobody looks after it")
		r.start()
		synctest.Wait()
		require.NotContains(t, r.containers(), attached)
		require.NotContains(t, r.containers(), crashed)
		require.Equal(t, engine.StateRunning, r.containers()["octo-hello."+detached.Name])
		<-v.done
		r.setApp(func(a *octo.App) { a.Destroying = true })
		synctest.Wait()
		require.Empty(t, r.containers(), "a run ends with its app")
		_, err = r.Detach(context.Background(), ann, "hello", tool("exit", "0"))
		require.ErrorIs(t, err, octo.ErrNotFound)
	})
}

func TestVerdict(t *testing.T) {
	now := time.Unix(1e9, 0)
	box := func(state engine.State, k card) *engine.Container {
		j := job{card: k, spec: engine.Spec{Labels: map[string]string{}}}
		require.NoError(t, j.equip(nil, nil))
		return &engine.Container{State: state, Labels: j.spec.Labels, Finished: now.Add(-time.Hour)}
	}
	soon, late := now.Add(time.Hour), now.Add(-time.Second)
	for name, c := range map[string]struct {
		box  *engine.Container
		s    situation
		want action
	}{
		"detached":             {box(engine.StateRunning, card{Expires: soon}), situation{}, leave},
		"its time is over":     {box(engine.StateRunning, card{Expires: late}), situation{}, end},
		"its app goes":         {box(engine.StateRunning, card{Expires: soon}), situation{doomed: true}, end},
		"attached":             {box(engine.StateRunning, card{Expires: soon, Attached: true}), situation{minded: true}, leave},
		"attached too long":    {box(engine.StateRunning, card{Expires: late, Attached: true}), situation{minded: true}, end},
		"left alone":           {box(engine.StateRunning, card{Expires: soon, Attached: true}), situation{}, end},
		"ended":                {box(engine.StateExited, card{Expires: soon}), situation{}, leave},
		"ended, one of many":   {box(engine.StateExited, card{Expires: soon}), situation{newer: keepMost}, remove},
		"ended, attached":      {box(engine.StateExited, card{Expires: soon, Attached: true}), situation{}, remove},
		"ended, looked at":     {box(engine.StateExited, card{Expires: soon, Attached: true}), situation{minded: true}, leave},
		"ended, its app goes":  {box(engine.StateExited, card{Expires: soon}), situation{doomed: true}, remove},
		"about to be started":  {box(engine.StateCreated, card{Expires: soon}), situation{minded: true}, leave},
		"never started":        {box(engine.StateCreated, card{Expires: soon}), situation{}, remove},
		"a label of nobody":    {&engine.Container{State: engine.StateRunning}, situation{}, end},
		"half removed already": {box(engine.StateDead, card{Expires: soon}), situation{}, remove},
	} {
		c.s.now = now
		require.Equal(t, c.want, verdict(c.box, c.s), name)
	}
	old := box(engine.StateExited, card{Expires: soon})
	old.Finished = now.Add(-keepFor - time.Second)
	require.Equal(t, remove, verdict(old, situation{now: now}))
}

func TestEnter(t *testing.T) {
	inBubble(t, func(r *rig) {
		ctx := context.Background()
		var have []octo.Instance
		for _, i := range []struct {
			process octo.Name
			n       int
			phase   octo.Phase
		}{{"web", 1, octo.PhaseStarting}, {"web", 2, octo.PhaseHealthy}, {"worker", 1, octo.PhaseHealthy}} {
			id := octo.NewInstanceID("hello", i.process, 1, i.n)
			c, err := r.fake.Start(ctx, engine.Spec{Name: string(id), Image: r.image, Env: []string{"ME=" + string(id)}})
			require.NoError(t, err)
			have = append(have, octo.Instance{ID: id, App: "hello", Process: i.process, Release: 1, Phase: i.phase, Container: c.ID})
		}
		have = append(have, octo.Instance{ID: "other.web.v1.1", App: "other", Process: "web", Container: "x"})
		_, err := store.Docs[[]octo.Instance]{Store: r.store, Prefix: store.HavePrefix}.Create(ctx, "node", have)
		require.NoError(t, err)
		enter := func(instance string, p octo.Program) (string, octo.Exit, error) {
			var out bytes.Buffer
			exit, err := r.Enter(ctx, ann, "hello", instance, p, octo.Attachment{Out: &out})
			return strings.TrimSpace(out.String()), exit, err
		}
		for instance, want := range map[string]string{"": "hello.web.v1.2", "web": "hello.web.v1.2", "web.1": "hello.web.v1.1", "worker": "hello.worker.v1.1"} {
			said, exit, err := enter(instance, tool("env", "ME"))
			require.NoError(t, err)
			require.Zero(t, exit.Code)
			require.Equal(t, "ME="+want, said, instance)
		}
		_, exit, err := enter("", octo.Program{})
		require.NoError(t, err)
		require.Equal(t, octo.Exit{Code: 127, Message: "there is no sh in web.2", Hint: "an image FROM scratch, or a distroless one, has no shell; name a program that is in it"}, exit)
		for _, instance := range []string{"web.3", "nosuch", "other.web.v1.1"} {
			_, _, err = enter(instance, tool("exit", "0"))
			require.ErrorIs(t, err, octo.ErrNotFound, instance)
		}
		_, err = r.Enter(ctx, ann, "third", "", tool("exit", "0"), octo.Attachment{Out: io.Discard})
		require.ErrorIs(t, err, octo.ErrConflict)

		v := r.visit(func(ctx context.Context, at octo.Attachment) (octo.Exit, error) {
			return r.Enter(ctx, ann, "hello", "web.1", tool("sleep", "1h"), at)
		})
		<-v.began
		v.leave()
		<-v.done
		require.ErrorIs(t, v.failed, context.Canceled)
		synctest.Wait() // what was run inside has ended: the bubble would not

		run, err := r.Detach(ctx, ann, "hello", tool("sleep", "1h"))
		require.NoError(t, err)
		said, _, err := enter(run.Name, tool("env", "OCTOHOST_APP"))
		require.NoError(t, err)
		require.Equal(t, "OCTOHOST_APP=hello", said)
		require.NoError(t, r.fake.Stop(ctx, have[0].Container, time.Second))
		_, _, err = enter("web.1", tool("exit", "0"))
		require.ErrorIs(t, err, octo.ErrConflict)
	})
}

func TestRunTask(t *testing.T) {
	inBubble(t, func(r *rig) {
		release := octo.Release{App: "hello", Number: 1, Image: r.image, Author: "ann", Processes: []octo.Process{octo.NewProcess(octo.Web, 5000)}}
		task := func(words ...string) octo.Task {
			return octo.Task{Name: "release", Command: append([]string{"/testapp"}, words...)}
		}
		run := func(ctx context.Context, t octo.Task) (string, int, error) {
			var out text
			code, err := r.RunTask(ctx, release, t, &out)
			return out.String(), code, err
		}
		ctx := context.Background()
		said, code, err := run(ctx, task("env", "OCTOHOST_RELEASE", "D"))
		require.NoError(t, err)
		require.Zero(t, code)
		require.Equal(t, "OCTOHOST_RELEASE=\nD=config\n", said, "it is not released yet")
		said, code, err = run(ctx, task("complain", "bad"))
		require.NoError(t, err)
		require.Zero(t, code)
		require.Equal(t, "bad\n", said)
		_, code, err = run(ctx, task("exit", "3"))
		require.NoError(t, err)
		require.Equal(t, 3, code)
		said, code, err = run(ctx, octo.Task{Name: "release", Command: []string{"migrate"}})
		require.NoError(t, err)
		require.Equal(t, 127, code)
		require.Equal(t, "there is no migrate in the image of hello\n", said)

		_, _, err = run(ctx, task("sleep", "10h"))
		require.ErrorIs(t, err, octo.ErrTimeout)
		require.ErrorContains(t, err, "it took longer than 1h0m0s and was ended")
		gone, leave := context.WithTimeout(ctx, time.Minute)
		defer leave()
		began := time.Now()
		_, _, err = run(gone, task("signals", "9"))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.Equal(t, time.Minute+octo.DefaultGrace.Std(), time.Since(began), "not before it has ended")
		synctest.Wait()
		require.Empty(t, r.containers())

		stopped := make(chan struct{})
		go func() {
			defer close(stopped)
			said, code, err = run(ctx, task("sleep", "10m"))
		}()
		synctest.Wait()
		runs, listErr := r.Runs(ctx, "hello")
		require.NoError(t, listErr)
		require.Len(t, runs, 1)
		require.Regexp(t, `^release\.\w{5}$`, runs[0].Name)
		_, stopErr := r.StopRun(ctx, ann, "hello", runs[0].Name)
		require.NoError(t, stopErr)
		<-stopped
		require.NoError(t, err)
		require.Equal(t, 143, code)
		require.Equal(t, runs[0].Name+" was ended: stopped by ann\n", said)
	})
}

func TestPrepare_Refuses(t *testing.T) {
	inBubble(t, func(r *rig) {
		ctx := context.Background()
		for range maxRuns {
			_, err := r.Detach(ctx, ann, "hello", tool("sleep", "1h"))
			require.NoError(t, err)
		}
		_, err := r.Detach(ctx, ann, "hello", tool("sleep", "1h"))
		require.ErrorIs(t, err, octo.ErrConflict)
		require.ErrorContains(t, err, "32 programs of hello run already")
		_, err = r.Detach(ctx, ann, "nothing", tool("exit", "0"))
		require.ErrorIs(t, err, octo.ErrNotFound)
		r.setApp(func(a *octo.App) { a.Live, a.Release = 0, 0 })
		_, err = r.Detach(ctx, ann, "hello", tool("exit", "0"))
		require.ErrorIs(t, err, octo.ErrConflict)
		require.ErrorContains(t, err, "git push octo main")
	})
}

// What somebody ran inside of an instance does not outlive a crash of octo for long.
func TestRun_EndsWhatIsLeftInside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		ctx := context.Background()
		instance, err := r.fake.Start(ctx, engine.Spec{Name: "web", Image: r.image, Labels: map[string]string{engine.LabelHost: testHost}})
		require.NoError(t, err)
		for _, words := range [][]string{{"signals", "9"}, {"sleep", "1h"}, {"sleep", "1s"}} {
			left, err := r.fake.Exec(ctx, instance.ID, engine.ExecSpec{Command: tool(words...).Command})
			require.NoError(t, err)
			require.NoError(t, left.Close(), "as a crash does")
		}
		inside := func() int {
			c, err := r.fake.Inspect(ctx, instance.ID)
			require.NoError(t, err)
			require.Equal(t, engine.StateRunning, c.State)
			return len(c.Inside)
		}
		r.start()
		synctest.Wait()
		require.Equal(t, 3, inside())
		_, err = r.fake.Exec(ctx, instance.ID, engine.ExecSpec{Command: tool("sleep", "1h").Command})
		require.NoError(t, err)
		after(strayTime - time.Second)
		require.Equal(t, 3, inside(), "what ends by itself may")
		after(time.Minute)
		require.Equal(t, 1, inside(), "what came later goes on")
	})
}
