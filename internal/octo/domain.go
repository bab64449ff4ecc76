package octo

import "time"

// Domain says which app has a host name, and what it does with it. There is one
// document for each name, so that a name has one owner.
type Domain struct {
	Host   string       `json:"host"` // normal form: lower case, ASCII, without port and final dot; "*." in front stands for one label
	App    Name         `json:"app"`
	Kind   DomainKind   `json:"kind"`
	Target string       `json:"target,omitempty"` // of a redirect: "example.com", "https://example.com:8443"
	Code   int          `json:"code,omitempty"`   // of a redirect: 301, 302, 307 or 308
	Source DomainSource `json:"source"`
	By     string       `json:"by,omitempty"` // the user who asked for it
	Added  time.Time    `json:"added,omitzero"`
	// Unicode is Host as people read it, where that differs. It is shown, never stored.
	Unicode string `json:"unicode,omitempty"`
}

// DomainKind is what an app does with a name.
type DomainKind string

// The kinds of domain.
const (
	DomainServe    DomainKind = "serve"    // the app answers
	DomainRedirect DomainKind = "redirect" // visitors are sent to Target
)

// DomainSource is how an app came to a name.
type DomainSource string

// The sources of a domain.
const (
	DomainDefault DomainSource = "default" // the app's own name below that of the server; there is no document
	DomainManual  DomainSource = "manual"  // somebody said so
	DomainPushed  DomainSource = "pushed"  // it was in the CNAME file of what was deployed last
)

// MaxDomains is how many names an app can have, redirects included.
const MaxDomains = 500

// DomainCheck is what the DNS says of a name.
type DomainCheck struct {
	Host      string   `json:"host"`
	Addresses []string `json:"addresses,omitempty"` // where it leads
	Here      bool     `json:"here"`                // it leads to where this octohost is reached
	Message   string   `json:"message"`             // what was seen, and what to do
}

// DefaultHost returns the name that an app answers to without anybody asking for it:
// <app>.<domain>. It is empty where the server has no domain.
func DefaultHost(app Name, domain string) string {
	if domain == "" {
		return ""
	}
	return string(app) + "." + domain
}
