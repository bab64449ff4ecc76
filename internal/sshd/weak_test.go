package sshd_test

import (
	"crypto/rsa"
	"log/slog"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/ssh"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// weakRSA is the public half of a short RSA key.
func weakRSA(t *testing.T) string {
	t.Helper()
	n := new(big.Int).Lsh(big.NewInt(1), 1023)
	key, err := ssh.NewPublicKey(&rsa.PublicKey{N: n.SetBit(n, 0, 1), E: 65537})
	require.NoError(t, err)
	return string(ssh.MarshalAuthorizedKey(key))
}
