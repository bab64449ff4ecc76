package octo

import "fmt"

// Phase is where an instance is in its life:
//
//	pending → starting → healthy ⇄ unhealthy → draining → gone
//	            └────────┴──► failed
//
// Only healthy instances are routed. A failed one stays failed while its release
// is rolling out; once the release is live its node starts it again with back-off.
// The zero value is pending: not routed, not counted.
type Phase uint8

// The phases of an instance.
const (
	PhasePending Phase = iota
	PhaseStarting
	PhaseHealthy
	PhaseUnhealthy
	PhaseDraining
	PhaseGone
	PhaseFailed
)

var phaseNames = [...]string{"pending", "starting", "healthy", "unhealthy", "draining", "gone", "failed"}

// String returns the phase in lower case.
func (p Phase) String() string {
	if int(p) < len(phaseNames) {
		return phaseNames[p]
	}
	return fmt.Sprintf("phase(%d)", uint8(p))
}

// MarshalText prints the phase's name.
func (p Phase) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads a phase's name; an unknown one is ErrInvalid.
func (p *Phase) UnmarshalText(text []byte) error {
	for i, n := range phaseNames {
		if n == string(text) {
			*p = Phase(i)
			return nil
		}
	}
	return Errorf(ErrInvalid, "%s is not a phase", quoteShort(string(text)))
}

// Signal is something that happens to an instance.
type Signal uint8

// The signals that move an instance from phase to phase.
const (
	SignalStart Signal = iota // its container was asked to start
	SignalPass                // a health check passed
	SignalMiss                // its health checks failed for long enough
	SignalFail                // it cannot be started, or it ended
	SignalDrain               // it must go
	SignalGone                // its container is removed
)

// After returns the phase that follows p on a signal. A signal that means nothing
// in p leaves it as it is.
func (p Phase) After(s Signal) Phase {
	switch {
	case s == SignalGone:
		return PhaseGone
	case p == PhaseGone:
		return p
	case s == SignalDrain:
		return PhaseDraining
	case p == PhaseDraining:
		return p
	case s == SignalFail:
		return PhaseFailed
	case s == SignalStart:
		return PhaseStarting
	case s == SignalPass && (p == PhaseStarting || p == PhaseUnhealthy):
		return PhaseHealthy
	case s == SignalMiss && p == PhaseHealthy:
		return PhaseUnhealthy
	}
	return p
}
