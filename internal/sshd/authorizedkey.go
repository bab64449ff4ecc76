package sshd

import (
	"strings"

	"golang.org/x/crypto/ssh"

	"github.com/octohost/octohost/internal/octo"
)

// ParseAuthorizedKey reads one line in the format of an authorized_keys file (sshd(8))
// or of a .pub file. Fingerprint, Public and Comment of the answer are set. Options
// before the key are refused, since they would not be followed.
func ParseAuthorizedKey(line string) (octo.Key, error) {
	public, comment, options, rest, err := ssh.ParseAuthorizedKey([]byte(line))
	if err != nil {
		return octo.Key{}, octo.Errorf(octo.ErrInvalid, "this is not an SSH public key").
			WithHint("give the content of a .pub file, for example ~/.ssh/id_ed25519.pub (make one with: ssh-keygen -t ed25519)")
	}
	switch {
	case len(options) > 0:
		return octo.Key{}, octo.Errorf(octo.ErrInvalid, "the key has options in front of it (%s), which octohost does not follow", options[0]).
			WithHint("give the key alone: ssh-ed25519 AAAA…")
	case len(strings.TrimSpace(string(rest))) > 0:
		return octo.Key{}, octo.Errorf(octo.ErrInvalid, "there is more than one key").WithHint("add them one at a time")
	case public.Type() == ssh.KeyAlgoDSA: //nolint:staticcheck // named to be refused
		return octo.Key{}, octo.Errorf(octo.ErrInvalid, "DSA keys are not accepted").WithHint("make a new one with: ssh-keygen -t ed25519")
	}
	return octo.Key{
		Fingerprint: ssh.FingerprintSHA256(public),
		Public:      strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public))),
		Comment:     comment,
	}, nil
}
