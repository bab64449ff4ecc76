package platform

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/octohost/octohost/internal/octo"
	"github.com/octohost/octohost/internal/store"
)

// maxGrants is how many people may have a role on one app.
const maxGrants = 200

// Access returns who may do what with an app: its owner first, then by name.
func (p *Platform) Access(ctx context.Context, name octo.Name) ([]octo.Grant, error) {
	app, err := p.app(ctx, name)
	if err != nil {
		return nil, err
	}
	keys, err := p.keysOf(ctx)
	if err != nil {
		return nil, err
	}
	grants := []octo.Grant{{User: app.Owner, Role: octo.RoleOwner, Keys: keys[app.Owner]}}
	for _, user := range slices.Sorted(maps.Keys(app.Access)) {
		if user != app.Owner {
			grants = append(grants, octo.Grant{User: user, Role: app.Access[user], Keys: keys[user]})
		}
	}
	return grants, nil
}

// keysOf returns how many keys admit each user.
func (p *Platform) keysOf(ctx context.Context) (map[string]int, error) {
	docs, err := p.keys().All(ctx)
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	count := map[string]int{}
	for _, d := range docs {
		if !d.Value.Expired(now()) {
			count[d.Value.User]++
		}
	}
	return count, nil
}

// SetRole gives somebody a role on an app, or takes it away with "". The owner's own
// cannot be changed: the app would belong to nobody.
func (p *Platform) SetRole(ctx context.Context, who octo.Identity, name octo.Name, user string, role octo.Role) ([]octo.Grant, error) {
	if err := checkUser(user); err != nil {
		return nil, err
	}
	return p.share(ctx, who, name, grantMessage(user, role), func(a *octo.App) error {
		switch {
		case user == a.Owner:
			return octo.Errorf(octo.ErrConflict, "%s belongs to %s", a.Name, user).WithHint("give it to somebody else first: octo access:transfer USER -a %s", a.Name)
		case role == "" && a.Access[user] == "":
			return octo.Errorf(octo.ErrNotFound, "%s has no role on %s", user, a.Name).WithHint("see who has: octo access -a %s", a.Name)
		case a.Access[user] == role:
			return store.ErrUnchanged
		case role == "":
			a.Access = maps.Clone(a.Access)
			delete(a.Access, user)
			return nil
		case len(a.Access) >= maxGrants:
			return octo.Errorf(octo.ErrInvalid, "%s has %d people already, which is the most", a.Name, maxGrants)
		}
		grant(a, user, role)
		return nil
	})
}

func grant(a *octo.App, user string, role octo.Role) {
	a.Access = maps.Clone(a.Access)
	if a.Access == nil {
		a.Access = map[string]octo.Role{}
	}
	a.Access[user] = role
}

func grantMessage(user string, role octo.Role) string {
	if role == "" {
		return user + " has no role any more"
	}
	return user + " is " + role.Article()
}

// Transfer makes an app somebody else's. Who owned it stays a deployer, so that a slip
// can be asked back.
func (p *Platform) Transfer(ctx context.Context, who octo.Identity, name octo.Name, to string) ([]octo.Grant, error) {
	if err := checkUser(to); err != nil {
		return nil, err
	}
	return p.share(ctx, who, name, "it belongs to "+to, func(a *octo.App) error {
		if a.Owner == to {
			return store.ErrUnchanged
		}
		grant(a, a.Owner, octo.RoleDeployer)
		delete(a.Access, to)
		a.Owner = to
		return nil
	})
}

// share changes who may do what with an app.
func (p *Platform) share(ctx context.Context, who octo.Identity, name octo.Name, message string, change func(*octo.App) error) ([]octo.Grant, error) {
	refused, changed := error(nil), false
	_, err := p.apps().Update(ctx, string(name), func(a *octo.App) error {
		if a.Destroying {
			return octo.NoSuchApp(name)
		}
		refused = change(a)
		changed = refused == nil
		return refused
	})
	switch {
	case err != nil && refused != nil:
		return nil, refused
	case errors.Is(err, octo.ErrNotFound):
		return nil, octo.NoSuchApp(name)
	case err != nil:
		return nil, fmt.Errorf("write app %s: %w", name, err)
	}
	if changed {
		p.Record(octo.Event{Kind: octo.EventAppChanged, App: name, User: who.User, Message: message})
	}
	return p.Access(ctx, name)
}

func checkUser(user string) error {
	if _, err := octo.ParseName(user); err != nil {
		return octo.Errorf(octo.ErrInvalid, "%.64q cannot be a user's name", user).WithHint("see who there is: octo access, or as an admin: octo users")
	}
	return nil
}

// Users returns everybody who has a key or a role, by name.
func (p *Platform) Users(ctx context.Context) ([]octo.User, error) {
	keys, err := p.keys().All(ctx)
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	apps, err := p.apps().All(ctx)
	if err != nil {
		return nil, fmt.Errorf("list apps: %w", err)
	}
	people := map[string]*octo.User{}
	person := func(name string) *octo.User {
		if people[name] == nil {
			people[name] = &octo.User{Name: name, Owns: []octo.Name{}, Roles: map[octo.Name]octo.Role{}}
		}
		return people[name]
	}
	for _, d := range keys {
		if k := d.Value; k.App == "" && !k.Expired(now()) {
			u := person(k.User)
			u.Keys++
			u.Admin = u.Admin || k.Admin
		}
	}
	for _, d := range apps {
		a := d.Value
		person(a.Owner).Owns = append(person(a.Owner).Owns, a.Name)
		for user, role := range a.Access {
			person(user).Roles[a.Name] = role
		}
	}
	users := make([]octo.User, 0, len(people))
	for _, u := range people {
		users = append(users, *u)
	}
	slices.SortFunc(users, func(a, b octo.User) int { return cmp.Compare(a.Name, b.Name) })
	return users, nil
}
