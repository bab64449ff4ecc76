package octo

import (
	"errors"
	"time"
)

// Audit is something that somebody did, tried to do, or was refused. It has no value
// of any secret in it.
type Audit struct {
	Time time.Time `json:"time"` // when it began
	User string    `json:"user"`
	Key  string    `json:"key,omitempty"` // fingerprint; empty on the local socket
	From string    `json:"from"`          // address that they come from, or LocalSocket

	// What is a route of the API, "PUT /v1/apps/{app}/owner", or one of the Audit
	// constants below. Detail has what is in the place of its braces, and more.
	What   string            `json:"what"`
	App    Name              `json:"app,omitempty"`
	Detail map[string]string `json:"detail,omitempty"`

	Result AuditResult `json:"result"`
	Error  string      `json:"error,omitempty"` // why not
	Took   Duration    `json:"took"`
	// Missed is how many refusals like this one were left out before it, since there
	// were too many.
	Missed int `json:"missed,omitempty"`
}

// LocalSocket is where those come from who are on the machine itself.
const LocalSocket = "local"

// What is audited besides the routes of the API.
const (
	AuditLogin  = "ssh login"  // that was refused
	AuditPush   = "git push"   // or an attempt at one
	AuditDeploy = "deploy"     // what comes of a push
	AuditFetch  = "git fetch"  // or a clone
	AuditServe  = "octo serve" // a key that its settings admit
)

// AuditResult is how it ended.
type AuditResult string

// The results of what is audited. The kinds of error have those of their names.
const (
	AuditOK     AuditResult = "ok"
	AuditBegun  AuditResult = "begun"  // it goes on; another record tells how it ends
	AuditLeft   AuditResult = "left"   // who asked went away before the end, or octo was stopped
	AuditFailed AuditResult = "failed" // for a reason of no kind
)

// ResultOf returns the result that err means.
func ResultOf(err error) AuditResult {
	if err == nil {
		return AuditOK
	}
	switch Kind(err) {
	case ErrNotFound:
		return "not_found"
	case ErrConflict:
		return "conflict"
	case ErrInvalid:
		return "invalid"
	case ErrDenied:
		return "denied"
	case ErrUnavailable:
		return "unavailable"
	case ErrTimeout:
		return "timeout"
	}
	return AuditFailed
}

// Audited returns a record of what who does, as of now.
func (who Identity) Audited(what string, app Name) Audit {
	from := who.Remote
	if who.Key == "" {
		from = LocalSocket
	}
	return Audit{Time: time.Now().UTC(), User: who.User, Key: who.Key, From: from, What: what, App: app}
}

// Ended returns the record of its end. An error is told as far as it was meant for
// people.
func (a Audit) Ended(err error) Audit {
	a.Result, a.Took = ResultOf(err), Duration(time.Since(a.Time))
	var e *Error
	if errors.As(err, &e) {
		a.Error = e.Message
	}
	return a
}

// AuditQuery selects records.
type AuditQuery struct {
	App    Name      // only of this app; empty means all that the person may see
	User   string    // only by this user
	Tail   int       // the last n; 0 means 100
	Since  time.Time // only later ones
	Follow bool      // go on with what comes
}
