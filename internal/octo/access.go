package octo

import "slices"

// Role is what somebody may do with one app.
type Role string

// The roles, each with all rights of those behind it.
const (
	RoleOwner    Role = "owner"    // everything, also to destroy it and to say who may do what
	RoleDeployer Role = "deployer" // push, configure, scale, run
	RoleViewer   Role = "viewer"   // look, but not at the values of its configuration
)

// Roles returns every role, the strongest first.
func Roles() []Role { return []Role{RoleOwner, RoleDeployer, RoleViewer} }

// ParseRole returns the role of that name, or ErrInvalid.
func ParseRole(s string) (Role, error) {
	if r := Role(s); slices.Contains(Roles(), r) {
		return r, nil
	}
	return "", Errorf(ErrInvalid, "%s is not a role", quoteShort(s)).WithHint("it may be owner, deployer or viewer")
}

// Article returns the role with an article: "an owner".
func (r Role) Article() string {
	if r == RoleOwner {
		return "an owner"
	}
	return "a " + string(r)
}

// Grant is the role that somebody has on an app.
type Grant struct {
	User string `json:"user"`
	Role Role   `json:"role"`
	Keys int    `json:"keys"` // how many keys admit them; without one they cannot come in yet
}

// User is a person, as their keys and roles show them.
type User struct {
	Name  string        `json:"name"`
	Admin bool          `json:"admin"`           // by one of their keys
	Keys  int           `json:"keys"`            // that admit them; without one they cannot come in
	Owns  []Name        `json:"owns"`            // apps that belong to them
	Roles map[Name]Role `json:"roles,omitempty"` // on apps of others
}

// Role returns the role of a user; "" means none.
func (a *App) Role(user string) Role {
	if user == a.Owner {
		return RoleOwner
	}
	return a.Access[user]
}

// Action is what somebody wants to do, as far as permission is concerned.
type Action string

// The actions that permission is asked for.
const (
	ActionNone      Action = "none"       // who am I, which version: everybody who got in
	ActionAppList   Action = "app.list"   // shows only what the person may see
	ActionAppCreate Action = "app.create" // with a name that is free
	ActionAppRead   Action = "app.read"   // viewer
	ActionAppDeploy Action = "app.deploy" // deployer, also by a deploy key: push, roll back
	ActionAppChange Action = "app.change" // deployer: scale, restart, limits, domains, edge
	ActionAppSecret Action = "app.secret" // deployer: read and write the values of the configuration
	ActionAppRun    Action = "app.run"    // deployer: run programs in its image, enter its instances
	ActionAppManage Action = "app.manage" // owner: destroy, say who may do what
	ActionAdmin     Action = "admin"      // keys, nodes, the machine
)

// Actions returns every action.
func Actions() []Action {
	return []Action{
		ActionNone, ActionAppList, ActionAppCreate, ActionAppRead, ActionAppDeploy,
		ActionAppChange, ActionAppSecret, ActionAppRun, ActionAppManage, ActionAdmin,
	}
}

// PerApp reports whether the action is on one app.
func (a Action) PerApp() bool {
	_, perApp := a.needs()
	return perApp
}

// needs says which role an action on an app needs.
func (a Action) needs() (Role, bool) {
	switch a {
	case ActionAppRead:
		return RoleViewer, true
	case ActionAppDeploy, ActionAppChange, ActionAppSecret, ActionAppRun:
		return RoleDeployer, true
	case ActionAppManage:
		return RoleOwner, true
	}
	return "", false
}

// includes reports whether r has all rights of other.
func (r Role) includes(other Role) bool {
	rank := map[Role]int{RoleViewer: 1, RoleDeployer: 2, RoleOwner: 3}
	return rank[r] > 0 && rank[r] >= rank[other]
}

// Allowed decides whether who may do what to app (nil where the action has none).
// It is the only place that decides; the answer is nil or an error. To those who
// may not see an app it does not exist: ErrNotFound.
func Allowed(who Identity, what Action, app *App) error {
	if who.User == "" {
		return Errorf(ErrDenied, "nobody is logged in")
	}
	if who.App != "" {
		return allowedKey(who, what, app)
	}
	if who.Admin {
		return nil
	}
	needed, perApp := what.needs()
	switch {
	case perApp && app != nil:
		return allowedRole(who, app.Role(who.User), needed, app)
	case what == ActionNone, what == ActionAppList, what == ActionAppCreate:
		return nil
	}
	return denied(who, what)
}

// allowedKey is Allowed for a deploy key, which is nobody's to do anything else with.
func allowedKey(who Identity, what Action, app *App) error {
	switch what {
	case ActionNone, ActionAppList:
		return nil
	case ActionAppRead, ActionAppDeploy:
		if app != nil && app.Name == who.App {
			return nil
		}
	}
	if app != nil && app.Name != who.App {
		return NoSuchApp(app.Name)
	}
	return Errorf(ErrDenied, "a deploy key may only push to %s and look at it", who.App).WithHint("use a key of your own")
}

func allowedRole(who Identity, has, needed Role, app *App) error {
	switch {
	case has.includes(needed):
		return nil
	case has == "":
		return NoSuchApp(app.Name)
	}
	return Errorf(ErrDenied, "%s is %s of %s, and this needs %s", who.User, has.Article(), app.Name, needed.Article()).WithHint("ask its owner, %s: octo access:add %s %s -a %s", app.Owner, who.User, needed, app.Name)
}

func denied(who Identity, what Action) error {
	return Errorf(ErrDenied, "%s may not do this (%s)", who.User, what).WithHint("ask an admin of this octohost")
}

// NoSuchApp is the answer about an app that does not exist, or that the one who
// asks may not see.
func NoSuchApp(name Name) error {
	return Errorf(ErrNotFound, "no app named %s", name).WithHint("list yours with: octo apps")
}
