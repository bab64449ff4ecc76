package octo

import (
	"strings"
	"time"
)

// App is a site or service that people push to. It is desired state: the planner
// makes the machines follow it.
type App struct {
	Name    Name      `json:"name"`
	Owner   string    `json:"owner"` // the user who created it
	Created time.Time `json:"created"`

	// Branch is the only branch that deploys; empty means main or master.
	Branch string `json:"branch,omitempty"`

	// Access is what people besides the owner may do.
	Access map[string]Role `json:"access,omitempty"`
	// Edge is what it wants of the proxy, and Maintenance keeps its visitors away. Both
	// hold at once, and whatever is released: they are no part of a release.
	Edge        Edge         `json:"edge,omitzero"`
	Maintenance *Maintenance `json:"maintenance,omitempty"`
	// NamesOf is the release whose CNAME file was heeded last; 0 means none.
	NamesOf int `json:"names_of,omitempty"`
	// Settings are those that the next release is made with.
	Settings

	// Release is the release that should run; 0 means none.
	Release int `json:"release"`
	// Live is the last release that was wholly live; 0 means none. A release that
	// fails falls back to it.
	Live int `json:"live"`
	// Last is the highest release number given out. Numbers are never used twice.
	Last int `json:"last"`

	// Destroying says that the app is being removed, and must not come back.
	Destroying bool `json:"destroying,omitempty"`
}

// CheckBranch reports whether s can be the name of a branch that deploys; the error
// is of kind ErrInvalid. It is stricter than git check-ref-format(1).
func CheckBranch(s string) error {
	ok := s != "" && len(s) <= 200 && s[0] != '-' && !strings.Contains(s, "..") && !strings.HasSuffix(s, ".lock")
	for part := range strings.SplitSeq(s, "/") {
		ok = ok && part != "" && part[0] != '.' && part[len(part)-1] != '.'
	}
	for _, r := range s {
		ok = ok && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./+", r))
	}
	if !ok {
		return Errorf(ErrInvalid, "%s cannot be a branch that deploys", quoteShort(s)).WithHint("use letters, digits, and - _ . / between them")
	}
	return nil
}

// Deploys reports whether pushes to branch deploy the app.
func (a *App) Deploys(branch string) bool {
	if a.Branch != "" {
		return branch == a.Branch
	}
	return branch == "main" || branch == "master"
}
