package sshd

import (
	"crypto/rsa"
	"fmt"
	"slices"
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
	case weak(public):
		return octo.Key{}, octo.Errorf(octo.ErrInvalid, "keys of this kind (%s) are not accepted", kind(public)).
			WithHint("make a new one with: ssh-keygen -t ed25519")
	}
	return octo.Key{
		Fingerprint: ssh.FingerprintSHA256(public),
		Public:      strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public))),
		Comment:     comment,
	}, nil
}

// minRSA is the shortest RSA key that is accepted, in bits.
const minRSA = 2048

// weak reports whether a key proves too little: DSA, short RSA, a certificate.
func weak(key ssh.PublicKey) bool {
	if bits := rsaBits(key); bits > 0 {
		return bits < minRSA
	}
	return !slices.Contains(keyAlgorithms(), key.Type())
}

// rsaBits returns the length of an RSA key, and 0 for any other.
func rsaBits(key ssh.PublicKey) int {
	if k, ok := key.(ssh.CryptoPublicKey); ok && key.Type() == ssh.KeyAlgoRSA {
		if r, ok := k.CryptoPublicKey().(*rsa.PublicKey); ok {
			return r.N.BitLen()
		}
	}
	return 0
}

func kind(key ssh.PublicKey) string {
	if bits := rsaBits(key); bits > 0 {
		return fmt.Sprintf("RSA with %d bits", bits)
	}
	return key.Type()
}
