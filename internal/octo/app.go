package octo

import "time"

// App is a site or service that people push to. It is desired state: the planner
// makes the machines follow it.
type App struct {
	Name    Name      `json:"name"`
	Owner   string    `json:"owner"` // the user who created it
	Created time.Time `json:"created"`

	// Branch is the only branch that deploys; empty means main or master.
	Branch string `json:"branch,omitempty"`
	// Domains are hosts it answers on besides its default one.
	Domains []string `json:"domains,omitempty"`

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

// Deploys reports whether pushes to branch deploy the app.
func (a *App) Deploys(branch string) bool {
	if a.Branch != "" {
		return branch == a.Branch
	}
	return branch == "main" || branch == "master"
}
