package daemon

import (
	"context"
	"os/exec"
	"strings"
	"time"

	"github.com/octohost/octohost/internal/octo"
)

// socketUnit is systemd's unit that keeps the port of sites open.
const socketUnit = "octohost.socket"

// heldOpen returns where systemd keeps the port of sites open, also while octo does not
// run; "" means that it does not.
func heldOpen(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "systemctl", "show", socketUnit, "--property=ActiveState,Listen").Output()
	if err != nil {
		return "" // there is no systemd here, or it does not know the unit
	}
	return listenAddress(string(out))
}

// listenAddress reads what systemctl show says of a socket unit: where it listens, if
// it is active.
func listenAddress(properties string) string {
	at, active := "", false
	for line := range strings.Lines(properties) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		switch name {
		case "ActiveState":
			active = value == "active"
		case "Listen":
			at, _, _ = strings.Cut(value, " ") // "[::]:80 (Stream)"
		}
	}
	if !active {
		return ""
	}
	return at
}

// checkHeld says what it means that systemd keeps a port open for an octo that does not
// run.
func checkHeld(at, setting string) octo.Finding {
	if setting != Defaults().HTTP && port(setting) != port(at) {
		return overruled(at, setting)
	}
	return fine("systemd keeps %s open (%s): visitors wait until octo is started", at, socketUnit)
}

// overruled says that a socket unit has another port than the settings.
func overruled(at, setting string) octo.Finding {
	return warning("choose the port in the socket unit: systemctl edit octohost.socket; or do without: systemctl mask --now octohost.socket",
		"listening on %s, which was opened before octo was started, and not on %s as the settings say", at, setting)
}
