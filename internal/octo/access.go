package octo

import "time"

// Key admits a person: the SSH public key that proves who they are.
type Key struct {
	Fingerprint string    `json:"fingerprint"` // SHA256:…, as ssh-keygen -l prints it
	User        string    `json:"user"`
	Admin       bool      `json:"admin,omitempty"` // may do everything on this octohost
	Comment     string    `json:"comment,omitempty"`
	Public      string    `json:"public"` // "ssh-ed25519 AAAA…", without comment
	Added       time.Time `json:"added"`
}

// Identity is who asks, as the door that let them in has established.
type Identity struct {
	User  string `json:"user"`
	Admin bool   `json:"admin"`
	Key   string `json:"key,omitempty"` // fingerprint; empty on the local socket
}

// Action is what somebody wants to do, as far as permission is concerned.
type Action string

// The actions that permission is asked for.
const (
	ActionNone      Action = "none"       // who am I, which version: everybody who got in
	ActionAppList   Action = "app.list"   // shows only what the person may see
	ActionAppCreate Action = "app.create" // with a name that is free
	ActionAppRead   Action = "app.read"
	ActionAppDeploy Action = "app.deploy"
	ActionAppManage Action = "app.manage" // destroy, change who may do what
	ActionAdmin     Action = "admin"      // keys, nodes, the machine
)

// Allowed decides whether who may do what to app (nil where the action has none).
// It is the only place that decides; the answer is nil or an error. To those who
// may not see an app it does not exist: ErrNotFound.
func Allowed(who Identity, what Action, app *App) error {
	if who.User == "" {
		return Errorf(ErrDenied, "nobody is logged in")
	}
	if who.Admin {
		return nil
	}
	switch what {
	case ActionNone, ActionAppList, ActionAppCreate:
		return nil
	case ActionAppRead, ActionAppDeploy, ActionAppManage:
		if app != nil && app.Owner == who.User {
			return nil
		}
		if app != nil {
			return NoSuchApp(app.Name)
		}
	}
	return Errorf(ErrDenied, "%s may not do this (%s)", who.User, what).WithHint("ask an admin of this octohost")
}

// NoSuchApp is the answer about an app that does not exist, or that the one who
// asks may not see.
func NoSuchApp(name Name) error {
	return Errorf(ErrNotFound, "no app named %s", name).WithHint("list yours with: octo apps")
}
