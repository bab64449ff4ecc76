package apitest

import (
	"context"
	"maps"
	"slices"

	"github.com/octohost/octohost/internal/octo"
)

// Access implements api.Access.
func (w *World) Access(_ context.Context, name octo.Name) ([]octo.Grant, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.grants(w.apps[name]), nil
}

// grants returns who may do what with an app; w is locked.
func (w *World) grants(app *octo.App) []octo.Grant {
	keys := map[string]int{}
	for _, k := range w.keys {
		keys[k.User]++
	}
	grants := []octo.Grant{{User: app.Owner, Role: octo.RoleOwner, Keys: keys[app.Owner]}}
	for _, user := range slices.Sorted(maps.Keys(app.Access)) {
		grants = append(grants, octo.Grant{User: user, Role: app.Access[user], Keys: keys[user]})
	}
	return grants
}

// SetRole implements api.Access.
func (w *World) SetRole(_ context.Context, _ octo.Identity, name octo.Name, user string, role octo.Role) ([]octo.Grant, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	app := w.apps[name]
	switch {
	case user == app.Owner:
		return nil, octo.Errorf(octo.ErrConflict, "%s belongs to %s", name, user)
	case role == "" && app.Access[user] == "":
		return nil, octo.Errorf(octo.ErrNotFound, "%s has no role on %s", user, name)
	case app.Access == nil:
		app.Access = map[string]octo.Role{}
	}
	app.Access[user] = role
	if role == "" {
		delete(app.Access, user)
	}
	return w.grants(app), nil
}

// Transfer implements api.Access.
func (w *World) Transfer(ctx context.Context, who octo.Identity, name octo.Name, to string) ([]octo.Grant, error) {
	w.mu.Lock()
	from := w.apps[name].Owner
	w.apps[name].Owner = to
	delete(w.apps[name].Access, to)
	w.mu.Unlock()
	return w.SetRole(ctx, who, name, from, octo.RoleDeployer)
}

// Users implements api.Access.
func (w *World) Users(context.Context) ([]octo.User, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	var users []octo.User
	for _, k := range w.keys {
		u := octo.User{Name: k.User, Admin: k.Admin, Keys: 1, Owns: []octo.Name{}, Roles: map[octo.Name]octo.Role{}}
		for _, name := range slices.Sorted(maps.Keys(w.apps)) {
			if app := w.apps[name]; app.Owner == k.User {
				u.Owns = append(u.Owns, name)
			} else if role := app.Access[k.User]; role != "" {
				u.Roles[name] = role
			}
		}
		users = append(users, u)
	}
	return users, nil
}
