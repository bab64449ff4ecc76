// Package enginetest holds what tests of container engines share: an in-memory
// engine that behaves (Fake), the contract that it and the real one keep (Run), the
// program that runs in test containers (webapp, testapp), and the way to a real
// Docker Engine (Docker).
package enginetest

import (
	"context"
	"crypto/rand"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// Docker returns the address of a Docker Engine that answers. Without one the test
// is skipped, unless OCTO_TEST_REQUIRE=1: then it fails.
func Docker(t testing.TB) string {
	t.Helper()
	address := os.Getenv("DOCKER_HOST")
	if address == "" {
		address = "unix:///var/run/docker.sock"
	}
	if err := ping(t.Context(), address); err != nil {
		if os.Getenv("OCTO_TEST_REQUIRE") == "1" {
			t.Fatalf("no Docker Engine answers at %s: %v", address, err)
		}
		t.Skipf("no Docker Engine answers at %s: %v", address, err)
	}
	return address
}

func ping(ctx context.Context, address string) error {
	network, target, _ := strings.Cut(address, "://")
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, target)
	}}
	defer transport.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://docker/_ping", nil)
	if err != nil {
		return err
	}
	response, err := transport.RoundTrip(request)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// Host returns an id for LabelHost that no other test has.
func Host() string { return "test-" + strings.ToLower(rand.Text()[:12]) }
