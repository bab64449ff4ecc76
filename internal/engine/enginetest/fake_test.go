package enginetest

import (
	"testing"
)

func TestFake_KeepsTheContract(t *testing.T) {
	Run(t, func(testing.TB) (Engine, string) { return NewFake(FakeConfig{}), "127.77.0.0/16" })
}
