package node

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
)

// an makes an instance with a release and a container of that state; "" is none.
func an(state engine.State, outcome octo.Outcome, change ...func(*instance)) *instance {
	rel := &octo.Release{
		App: "hello", Number: 1, Image: "sha256:a", Outcome: outcome,
		Processes: []octo.Process{octo.NewProcess(octo.Web, 5000)},
	}
	in := &instance{Assignment: web(1, 1), known: true, trusted: true}
	if err := in.setRelease(rel); err != nil {
		panic(err)
	}
	if state != "" {
		in.box = &engine.Container{ID: "c", Image: rel.Image, State: state, Address: "10.0.0.2", Labels: identity(testHost, in.Assignment, rel)}
	}
	for _, f := range change {
		f(in)
	}
	return in
}

func TestInstance_Next(t *testing.T) {
	now := time.Unix(1000, 0)
	later := now.Add(time.Second)
	phase := func(p octo.Phase) func(*instance) { return func(in *instance) { in.status.Phase = p } }
	due := func(in *instance) { in.due = later }
	leaving := func(in *instance) { in.leaving = true }
	terminal := func(in *instance) { in.terminal = true }
	const run, end = engine.StateRunning, engine.StateExited
	for name, tc := range map[string]struct {
		in   *instance
		want action
	}{
		"busy":                               {an("", "", func(in *instance) { in.busy = start }), rest},
		"after trouble":                      {an("", "", func(in *instance) { in.retry = later }), rest},
		"not looked at":                      {an(run, "", func(in *instance) { in.known = false }), look},
		"one too many":                       {an(run, "", func(in *instance) { in.surplus = make([]engine.Container, 1) }), discard},
		"no release yet":                     {an(run, "", func(in *instance) { in.release = nil }), load},
		"no container":                       {an("", ""), start},
		"no container, back-off":             {an("", "", due), rest},
		"no container, failed":               {an("", "", terminal), review},
		"no container, failed, reviewed":     {an("", "", terminal, due), rest},
		"another image":                      {an(run, "", func(in *instance) { in.box.Image = "sha256:b" }), discard},
		"cannot be started again":            {an(end, "", func(in *instance) { in.spoiled = true }), discard},
		"half made":                          {an(engine.StateCreated, ""), discard},
		"half removed":                       {an(engine.StateDead, ""), discard},
		"paused by somebody":                 {an(engine.StatePaused, "", due), rest},
		"paused by somebody, for longer":     {an(engine.StatePaused, ""), look},
		"ended":                              {an(end, ""), autopsy},
		"ended, looked into":                 {an(end, "", func(in *instance) { in.examined = true }), restart},
		"ended, back-off":                    {an(end, "", func(in *instance) { in.examined = true }, due), rest},
		"ended, failed":                      {an(end, "", func(in *instance) { in.examined = true }, terminal), review},
		"runs":                               {an(run, "", phase(octo.PhaseStarting)), await},
		"runs before the agent did":          {an(run, octo.Live, phase(octo.PhaseStarting)), adopt},
		"runs before, does not answer":       {an(run, octo.Live, phase(octo.PhaseStarting), func(in *instance) { in.adopted = true }), await},
		"runs before, but never was live":    {an(run, octo.Failed, phase(octo.PhaseStarting)), await},
		"runs, failed":                       {an(run, "", phase(octo.PhaseFailed), terminal, due), rest},
		"runs, failed, to be reviewed":       {an(run, "", phase(octo.PhaseFailed), terminal), review},
		"runs, too slow":                     {an(run, octo.Live, func(in *instance) { in.slow = true }), stop},
		"healthy":                            {an(run, "", phase(octo.PhaseHealthy), due), rest},
		"healthy, to be checked":             {an(run, "", phase(octo.PhaseHealthy)), check},
		"unhealthy, to be checked":           {an(run, "", phase(octo.PhaseUnhealthy)), check},
		"leaves, no container":               {an("", "", leaving), forget},
		"leaves, no container, back-off":     {an("", "", leaving, due), forget},
		"leaves, not looked at":              {an(run, "", leaving, func(in *instance) { in.known = false }), look},
		"leaves, release unknown":            {an(run, "", leaving, func(in *instance) { in.release = nil }), load},
		"leaves, release never to be known":  {an(run, "", leaving, func(in *instance) { in.release, in.missing = nil, true }), drain},
		"leaves, runs":                       {an(run, "", leaving), drain},
		"leaves, another's container":        {an(run, "", leaving, func(in *instance) { in.box.Image = "sha256:b" }), drain},
		"leaves, drained":                    {an(run, "", leaving, func(in *instance) { in.drained = true }), stop},
		"leaves, paused":                     {an(engine.StatePaused, "", leaving), stop},
		"leaves, ended":                      {an(end, "", leaving), remove},
		"leaves, half made":                  {an(engine.StateCreated, "", leaving), remove},
		"leaves, one too many":               {an(run, "", leaving, func(in *instance) { in.surplus = make([]engine.Container, 1) }), discard},
		"leaves, failed":                     {an(end, "", leaving, terminal), remove},
		"leaves, and the engine is troubled": {an(end, "", leaving, func(in *instance) { in.retry = later }), rest},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tc.want, tc.in.next(now, testHost), "%v", tc.in.next(now, testHost))
		})
	}
}

func TestInstance_Address(t *testing.T) {
	for name, tc := range map[string]struct {
		in   *instance
		want string
	}{
		"runs":             {an(engine.StateRunning, ""), "10.0.0.2:5000"},
		"leaves":           {an(engine.StateRunning, "", func(in *instance) { in.leaving = true }), "10.0.0.2:5000"},
		"being drained":    {an(engine.StateRunning, "", func(in *instance) { in.busy = drain }), "10.0.0.2:5000"},
		"looked at again":  {an(engine.StateRunning, "", func(in *instance) { in.known = false }), "10.0.0.2:5000"},
		"in doubt":         {an(engine.StateRunning, "", func(in *instance) { in.trusted = false }), ""},
		"no container":     {an("", ""), ""},
		"ended":            {an(engine.StateExited, ""), ""},
		"paused":           {an(engine.StatePaused, ""), ""},
		"being stopped":    {an(engine.StateRunning, "", func(in *instance) { in.busy = stop }), ""},
		"being discarded":  {an(engine.StateRunning, "", func(in *instance) { in.busy = discard }), ""},
		"about to restart": {an(engine.StateRunning, "", func(in *instance) { in.slow = true }), ""},
		"another image":    {an(engine.StateRunning, "", func(in *instance) { in.box.Image = "sha256:b" }), ""},
		"release unknown":  {an(engine.StateRunning, "", func(in *instance) { in.release = nil }), ""},
		"no port":          {an(engine.StateRunning, "", func(in *instance) { in.process.Port = 0 }), ""},
		"no address":       {an(engine.StateRunning, "", func(in *instance) { in.box.Address = "" }), ""},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tc.want, tc.in.address(testHost))
		})
	}
}

func TestAction_String(t *testing.T) {
	require.Equal(t, "rest", rest.String())
	require.Equal(t, "forget", forget.String())
	require.Equal(t, "action(99)", action(99).String())
	for a := rest; a <= forget; a++ {
		require.NotContains(t, a.String(), "action(")
	}
}
