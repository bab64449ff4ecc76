package octo

import (
	"strings"
	"time"
)

// Key admits a person, or a machine that deploys: the SSH public key that proves who
// they are.
type Key struct {
	Fingerprint string    `json:"fingerprint"` // SHA256:…, as ssh-keygen -l prints it
	User        string    `json:"user"`
	Admin       bool      `json:"admin,omitempty"` // may do everything on this octohost
	App         Name      `json:"app,omitempty"`   // a deploy key: opens this app only, to push and to look
	Comment     string    `json:"comment,omitempty"`
	Public      string    `json:"public"` // "ssh-ed25519 AAAA…", without comment
	Added       time.Time `json:"added"`
	Expires     time.Time `json:"expires,omitzero"` // it opens nothing from then on; zero means never
}

// Admission is a wish to admit a key.
type Admission struct {
	Line    string    `json:"key"`              // as in authorized_keys(5), without options
	User    string    `json:"user,omitempty"`   // whose it is, or what a deploy key is called; empty: its comment says so
	Admin   bool      `json:"admin,omitempty"`  // may do everything; not for a deploy key
	App     Name      `json:"app,omitempty"`    // makes it a deploy key of this app
	Expires time.Time `json:"expires,omitzero"` // zero means never
}

// Identity is who asks, as the door that let them in has established.
type Identity struct {
	User   string `json:"user"`
	Admin  bool   `json:"admin"`
	Key    string `json:"key,omitempty"`    // fingerprint; empty on the local socket
	App    Name   `json:"app,omitempty"`    // of a deploy key: the only app that it opens
	Remote string `json:"remote,omitempty"` // address that they come from; empty on the local socket
}

// Expired reports whether the key opens nothing any more at that moment.
func (k *Key) Expired(now time.Time) bool { return !k.Expires.IsZero() && !now.Before(k.Expires) }

// Identity returns who comes from remote with the key. A deploy key is never an
// admin's, whatever it says.
func (k *Key) Identity(remote string) Identity {
	return Identity{User: k.User, Admin: k.Admin && k.App == "", Key: k.Fingerprint, App: k.App, Remote: remote}
}

// DeployUser returns the user that a deploy key stands for: "hello/ci". People have
// no slash in their names.
func DeployUser(app Name, name string) string { return string(app) + "/" + name }

// UserFrom returns whose key it is by its comment: what stands before the @ in
// "Ann.Smith@laptop", as a name: ann-smith. ErrInvalid if that is nobody's.
func UserFrom(comment string) (string, error) {
	user, _, named := strings.Cut(strings.ToLower(comment), "@")
	user = strings.NewReplacer(".", "-", "_", "-").Replace(user)
	if named && badName(user) == "" {
		return user, nil
	}
	return "", Errorf(ErrInvalid, "the key does not tell whose it is: its comment is %s, not NAME@MACHINE", quoteShort(comment))
}

// Check returns nil as long as the key opens anything, else ErrDenied.
func (k *Key) Check(now time.Time) error {
	if !k.Expired(now) {
		return nil
	}
	return Errorf(ErrDenied, "your key expired on %s", k.Expires.UTC().Format("2006-01-02 15:04 MST")).WithHint("ask an admin of this octohost for another: octo keys:add")
}

// NotAdmitted is the answer to somebody whose key was taken away while they were here.
func NotAdmitted() error {
	return Errorf(ErrDenied, "your key is no longer admitted").WithHint("ask an admin of this octohost")
}
