package octo

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// The bounds of what one process may have.
const (
	MaxCount  = 100      // instances
	MinMemory = 6 << 20  // bytes; the engine's own
	MaxMemory = 16 << 40 // bytes
	MinCPU    = 0.01     // cores
	MaxCPU    = 1024     // cores
	MinPids   = 1        // processes and threads
	MaxPids   = 1 << 20
)

// Limits are how much one instance may use. What is nil is not said.
type Limits struct {
	Memory *int64   `json:"memory,omitempty"` // bytes
	CPU    *float64 `json:"cpu,omitempty"`    // cores
	Pids   *int64   `json:"pids,omitempty"`   // processes and threads
}

// LimitNames returns the names of all limits, in the order in which they are shown.
func LimitNames() []string { return []string{"memory", "cpu", "pids"} }

// CheckLimitName reports whether there is a limit of that name; the error is of kind
// ErrInvalid.
func CheckLimitName(name string) error {
	if slices.Contains(LimitNames(), name) {
		return nil
	}
	return Errorf(ErrInvalid, "there is no limit %s", quoteShort(name)).WithHint("there are: %s", strings.Join(LimitNames(), ", "))
}

// ParseLimits reads "memory=256m", "cpu=0.5" and "pids=100"; the error is of kind
// ErrInvalid.
func ParseLimits(words ...string) (Limits, error) {
	var l Limits
	for _, word := range words {
		name, value, ok := strings.Cut(word, "=")
		if !ok {
			return l, Errorf(ErrInvalid, "%s does not say how much", quoteShort(word)).WithHint("write for example memory=256m cpu=0.5 pids=100")
		}
		if err := CheckLimitName(name); err != nil {
			return l, err
		}
		if err := l.set(name, value); err != nil {
			return l, err
		}
	}
	return l, l.Check()
}

// set takes over one limit in text.
func (l *Limits) set(name, value string) error {
	wrong := func() error {
		return Errorf(ErrInvalid, "%s=%.40s is not a number", name, value).WithHint("write for example memory=256m cpu=0.5 pids=100")
	}
	switch name {
	case "memory":
		size, err := ParseSize(value)
		if err != nil {
			return err
		}
		l.Memory = (*int64)(&size)
	case "cpu":
		cores, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return wrong()
		}
		l.CPU = &cores
	case "pids":
		n, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return wrong()
		}
		l.Pids = &n
	}
	return nil
}

// Check reports whether l is within bounds; the error is of kind ErrInvalid.
func (l Limits) Check() error {
	switch {
	case l.Memory != nil && !(*l.Memory >= MinMemory && *l.Memory <= MaxMemory):
		return Errorf(ErrInvalid, "memory must be between %s and %s, with its unit", Size(MinMemory), Size(MaxMemory)).WithHint("write for example memory=256m")
	case l.CPU != nil && !(*l.CPU >= MinCPU && *l.CPU <= MaxCPU): //nolint:staticcheck // so that NaN is outside
		return Errorf(ErrInvalid, "cpu must be a number of cores between %g and %d", MinCPU, MaxCPU).WithHint("write for example cpu=0.5")
	case l.Pids != nil && !(*l.Pids >= MinPids && *l.Pids <= MaxPids):
		return Errorf(ErrInvalid, "pids must be between %d and %d", MinPids, MaxPids)
	}
	return nil
}

// String says what is limited: "memory 256.0 MiB, cpu 0.5".
func (l Limits) String() string {
	var parts []string
	if l.Memory != nil {
		parts = append(parts, "memory "+Size(*l.Memory).String())
	}
	if l.CPU != nil {
		parts = append(parts, fmt.Sprintf("cpu %g", *l.CPU))
	}
	if l.Pids != nil {
		parts = append(parts, fmt.Sprintf("pids %d", *l.Pids))
	}
	return strings.Join(parts, ", ")
}
