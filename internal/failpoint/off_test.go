//go:build !failpoint

package failpoint_test

import (
	"testing"

	"github.com/octohost/octohost/internal/failpoint"
)

func TestHit_IsNothingInANormalBuild(t *testing.T) {
	t.Setenv("OCTO_FAILPOINT", "there")
	failpoint.Hit("there")
}
