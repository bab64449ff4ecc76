package proxy

import (
	"strings"

	"github.com/google/uuid"
)

// headerID carries the id of a request to the app and back to the client.
const headerID = "X-Request-Id"

// maxID is the longest id that is taken over from somebody else.
const maxID = 128

// requestID returns the inbound id if it comes from a trusted peer and is
// harmless, else a new one: a UUID of version 7, which sorts by time.
func requestID(inbound string, trusted bool) string {
	if trusted && validID(inbound) {
		return inbound
	}
	id, err := uuid.NewV7()
	if err != nil { // cannot happen: crypto/rand does not fail
		return uuid.NewString()
	}
	return id.String()
}

// validID reports whether an id can be written to a log, a header and a page as it
// is.
func validID(s string) bool {
	if s == "" || len(s) > maxID {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !hostByte(c) && (c < 'A' || c > 'Z') && !strings.ContainsRune(".+/=:@", rune(c)) {
			return false
		}
	}
	return true
}
