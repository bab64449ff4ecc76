package octo_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/octo"
)

func ptr[T any](v T) *T { return &v }

// declared is what the code of hello says: two web, no worker yet, and a clock that
// has to be alone.
func declared() []octo.Process {
	web, worker, clock := octo.NewProcess("web", 5000), octo.NewProcess("worker", 0), octo.NewProcess("clock", 0)
	web.Count, worker.Count, clock.Singleton = 2, 0, true
	return []octo.Process{web, worker, clock}
}

func scale(t *testing.T, words ...string) octo.FormationEdit {
	var e octo.FormationEdit
	for _, w := range words {
		s, err := octo.ParseScale(w)
		require.NoError(t, err)
		e.Scale = append(e.Scale, s)
	}
	return e
}

func TestFormationEdit(t *testing.T) {
	stop := octo.FormationEdit{Do: octo.FormationStop}
	for _, c := range []struct {
		edit   octo.FormationEdit
		before map[octo.Name]octo.Formation
		says   string
		after  map[octo.Name]octo.Formation
	}{
		{scale(t, "web=3", "worker=1"), nil, "Scale web to 3, worker to 1", map[octo.Name]octo.Formation{"web": {Count: ptr(3)}, "worker": {Count: ptr(1)}}},
		{scale(t, "web=+1", "worker=+2"), map[octo.Name]octo.Formation{"web": {Count: ptr(4)}}, "Scale web by +1, worker by +2", map[octo.Name]octo.Formation{"web": {Count: ptr(5)}, "worker": {Count: ptr(2)}}},
		{scale(t, "web=-2"), nil, "Scale web by -2", map[octo.Name]octo.Formation{"web": {Count: ptr(0)}}},
		{scale(t, "web=+1"), map[octo.Name]octo.Formation{"web": {Stopped: true}}, "Scale web by +1", map[octo.Name]octo.Formation{"web": {Count: ptr(3)}}},
		{scale(t, "web=0"), map[octo.Name]octo.Formation{"web": {Stopped: true}}, "Scale web to 0", map[octo.Name]octo.Formation{"web": {Count: ptr(0), Stopped: true}}},
		{stop, nil, "Stop", map[octo.Name]octo.Formation{"web": {Stopped: true}, "worker": {Stopped: true}, "clock": {Stopped: true}}},
		{octo.FormationEdit{Do: octo.FormationStop, Process: "web"}, nil, "Stop web", map[octo.Name]octo.Formation{"web": {Stopped: true}}},
		{octo.FormationEdit{Do: octo.FormationStart}, map[octo.Name]octo.Formation{"web": {Stopped: true}, "clock": {Stopped: true, Restarts: 1}}, "Start", map[octo.Name]octo.Formation{"clock": {Restarts: 1}}},
		{octo.FormationEdit{Do: octo.FormationRestart}, map[octo.Name]octo.Formation{"clock": {Stopped: true}}, "Restart", map[octo.Name]octo.Formation{"web": {Restarts: 1}, "clock": {Stopped: true}}},
		{octo.FormationEdit{Do: octo.FormationRestart, Process: "web"}, map[octo.Name]octo.Formation{"web": {Restarts: 1}}, "Restart web", map[octo.Name]octo.Formation{"web": {Restarts: 2}}},
		{octo.FormationEdit{Process: "web", Limits: octo.Limits{Memory: ptr[int64](256 << 20), CPU: ptr(0.5)}}, nil, "Limit web: memory 256.0 MiB, cpu 0.5", map[octo.Name]octo.Formation{"web": {Memory: ptr[int64](256 << 20), CPU: ptr(0.5)}}},
		{octo.FormationEdit{Limits: octo.Limits{Pids: ptr[int64](9)}}, nil, "Limit all processes: pids 9", map[octo.Name]octo.Formation{"web": {Pids: ptr[int64](9)}, "worker": {Pids: ptr[int64](9)}, "clock": {Pids: ptr[int64](9)}}},
		{octo.FormationEdit{Unset: []string{"memory", "cpu"}}, map[octo.Name]octo.Formation{"web": {Memory: ptr[int64](1 << 30), Count: ptr(1)}, "worker": {CPU: ptr(1.0)}}, "Unset memory, cpu of all processes", map[octo.Name]octo.Formation{"web": {Count: ptr(1)}}},
	} {
		before := octo.Settings{Config: 7, Formation: c.before}
		after, err := c.edit.Apply("hello", before, declared())
		require.NoError(t, err, c.says)
		require.Equal(t, c.says, c.edit.String())
		require.Equal(t, octo.Settings{Config: 7, Formation: c.after}, after, c.says)
		require.Equal(t, octo.Settings{Config: 7, Formation: c.before}, before, "%s: what there was is left as it was", c.says)
	}
}

func TestFormationEdit_SaysWhatIsWrong(t *testing.T) {
	twice := scale(t, "web=1", "web=2")
	for want, edit := range map[string]octo.FormationEdit{
		"hello has no process wbe; it has: web, worker, clock": scale(t, "wbe=1"),
		"web is there twice": twice,
		"web has 2 instances, and -3 would make -1; the count must be between 0 and 100":       scale(t, "web=-3"),
		"web has 2 instances, and +99 would make 101":                                          scale(t, "web=+99"),
		"clock is a singleton: there is never more than one":                                   scale(t, "clock=2"),
		"hello has no process x; it has: web":                                                  {Do: octo.FormationStop, Process: "x"},
		"no instance of worker is wanted; say how many: octo ps:scale worker=1 -a hello":       {Do: octo.FormationStart, Process: "worker"},
		"nothing runs that could be restarted; start it with: octo ps:start -a hello":          {Do: octo.FormationRestart, Process: "worker"},
		"is one of scale, do, limits and unset":                                                {},
		"cannot be done with processes":                                                        {Do: "dance"},
		"there is no limit \"disk\"; there are: memory, cpu, pids":                             {Unset: []string{"disk"}},
		"memory must be between 6.0 MiB and 16.0 TiB, with its unit; write for example memory": {Limits: octo.Limits{Memory: ptr[int64](512)}},
		"the count of web must be between 0 and 100":                                           {Scale: []octo.Scale{{Process: "web", Count: -1}}},
	} {
		before := octo.Settings{Config: 7}
		after, err := edit.Apply("hello", before, declared())
		require.ErrorContains(t, err, want)
		require.NotNil(t, octo.Kind(err))
		require.Equal(t, before, after)
	}
	both := scale(t, "web=1")
	both.Do = octo.FormationStop
	require.ErrorIs(t, both.Check(), octo.ErrInvalid)
}

func TestParseScale(t *testing.T) {
	for text, want := range map[string]octo.Scale{
		"web=2": {Process: "web", Count: 2}, "a-b=0": {Process: "a-b"}, "web=+1": {Process: "web", Count: 1, Relative: true}, "web=-1": {Process: "web", Count: -1, Relative: true},
	} {
		got, err := octo.ParseScale(text)
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, text := range []string{"", "web", "web=", "=1", "web=x", "web=1.5", "web=101", "Web=1", "web==1", "web= 1", "web=999999999999999999999", "web+1"} {
		_, err := octo.ParseScale(text)
		require.ErrorIs(t, err, octo.ErrInvalid, text)
	}
}

func TestParseLimits(t *testing.T) {
	l, err := octo.ParseLimits("memory=256m", "cpu=0.5", "pids=100")
	require.NoError(t, err)
	require.Equal(t, "memory 256.0 MiB, cpu 0.5, pids 100", l.String())
	for text, want := range map[string]string{
		"memory":       "does not say how much; write for example memory=256m",
		"disk=1g":      "there is no limit \"disk\"",
		"memory=lots":  "\"lots\" is not a size",
		"memory=512":   "memory must be between 6.0 MiB",
		"cpu=half":     "cpu=half is not a number",
		"cpu=NaN":      "cpu must be a number of cores between 0.01 and 1024",
		"cpu=0":        "cpu must be a number of cores",
		"pids=0":       "pids must be between 1 and 1048576",
		"pids=1.5":     "pids=1.5 is not a number",
		"pids=9999999": "pids must be between",
	} {
		_, err := octo.ParseLimits(text)
		require.ErrorIs(t, err, octo.ErrInvalid, text)
		require.ErrorContains(t, err, want)
	}
}

func TestStatuses(t *testing.T) {
	s := octo.Settings{Formation: map[octo.Name]octo.Formation{"web": {Count: ptr(3), Stopped: true}, "worker": {Count: ptr(1)}}}
	r := octo.Release{Declared: declared(), Settings: s, Processes: s.Over(declared())}
	all := r.Statuses([]octo.Instance{{Process: "worker", Phase: octo.PhaseHealthy}, {Process: "clock", Phase: octo.PhaseStarting}})
	web, worker, clock := all[0], all[1], all[2]
	require.Equal(t, []any{0, 3, true, 0, 0, octo.CheckHTTP}, []any{web.Count, web.Scale, web.Stopped, web.Running, web.Healthy, web.Kind})
	require.Equal(t, []any{1, 1, false, 1, 1, octo.CheckNone}, []any{worker.Count, worker.Scale, worker.Stopped, worker.Running, worker.Healthy, worker.Kind})
	require.Equal(t, []any{1, 1, 0}, []any{clock.Count, clock.Running, clock.Healthy})
	require.Equal(t, octo.Formation{Count: ptr(1)}, worker.Set)
}

// A singleton is never wanted twice, whatever was set before it was one.
func TestOver_Singleton(t *testing.T) {
	s := octo.Settings{Formation: map[octo.Name]octo.Formation{"clock": {Count: ptr(3)}}}
	require.Equal(t, 1, s.Over(declared())[2].Count)
}

func FuzzFormationEdit(f *testing.F) {
	f.Add("web=+1 clock=2", "memory=1g cpu=.5")
	f.Fuzz(func(t *testing.T, scales, limits string) {
		var e octo.FormationEdit
		for word := range strings.FieldsSeq(scales) {
			s, err := octo.ParseScale(word)
			if err != nil {
				require.ErrorIs(t, err, octo.ErrInvalid)
				return
			}
			e.Scale = append(e.Scale, s)
		}
		if len(e.Scale) == 0 {
			var err error
			if e.Limits, err = octo.ParseLimits(strings.Fields(limits)...); err != nil {
				require.ErrorIs(t, err, octo.ErrInvalid)
				return
			}
		}
		s, err := e.Apply("hello", octo.Settings{}, declared())
		if err != nil {
			require.ErrorIs(t, err, octo.ErrInvalid)
			return
		}
		for _, p := range s.Over(declared()) {
			require.True(t, p.Count >= 0 && p.Count <= octo.MaxCount)
			require.True(t, !p.Singleton || p.Count <= 1)
			require.GreaterOrEqual(t, p.Memory, int64(octo.MinMemory))
		}
	})
}
