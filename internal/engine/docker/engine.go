// Package docker runs octohost's containers, networks and builds on a Docker
// Engine (20.10 and newer), over its HTTP API with a negotiated version.
//
// Everything it makes carries the labels that the caller gave and is found again
// by them. What containers may do is decided here, in hostConfig, and nowhere else.
package docker

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/types/build"
	"github.com/moby/moby/client"

	"github.com/octohost/octohost/internal/engine"
)

// Engine is one Docker Engine. It is safe for concurrent use.
type Engine struct {
	client  *client.Client
	address string

	networking sync.Mutex // one EnsureNetwork at a time: the engine allows two networks of one name
	// Classic builds read it, removals of images write it: the builder takes images
	// of earlier steps from its cache and fails when one is removed under its hands.
	layers sync.RWMutex
}

// parallel bounds the requests that one call makes at the same time.
const parallel = 8

// Open prepares to talk to the engine at address, such as
// "unix:///var/run/docker.sock"; empty means DOCKER_HOST, or that socket. It does
// not need the engine to be up. An address that cannot be understood is an error.
func Open(address string) (*Engine, error) {
	secure := false
	if address == "" {
		address = os.Getenv(client.EnvOverrideHost)
		secure = os.Getenv(client.EnvOverrideCertPath) != ""
	}
	if address == "" {
		address = client.DefaultDockerHost
	}
	c, err := client.New(append(transport(secure), client.WithHost(address))...)
	if err != nil {
		return nil, fmt.Errorf("open engine %s: %w", address, err)
	}
	return &Engine{client: c, address: address}, nil
}

// transport chooses how the engine is reached; secure means with the certificates
// of DOCKER_CERT_PATH.
func transport(secure bool) []client.Opt {
	if secure {
		return []client.Opt{client.WithTLSClientConfigFromEnv()}
	}
	return []client.Opt{
		client.WithHTTPClient(&http.Client{
			// The default keeps two connections open, which List outgrows.
			Transport:     &http.Transport{MaxIdleConns: 2 * parallel, MaxIdleConnsPerHost: 2 * parallel, IdleConnTimeout: 30 * time.Second},
			CheckRedirect: client.CheckRedirect,
		}),
		client.WithScheme("http"), // the client would guess https from a transport that it did not make
	}
}

// Address returns where the engine is asked, as DOCKER_HOST would say it.
func (e *Engine) Address() string { return e.address }

// Close gives back the idle connections. Calls under way go on.
func (e *Engine) Close() error { return e.client.Close() }

// Info returns what the engine says of itself. ErrUnavailable says how to install
// or start one.
func (e *Engine) Info(ctx context.Context) (engine.Info, error) {
	ping, err := e.client.Ping(ctx, client.PingOptions{NegotiateAPIVersion: true})
	if err != nil {
		return engine.Info{}, e.fail(err, "ask engine")
	}
	result, err := e.client.Info(ctx, client.InfoOptions{})
	if err != nil {
		return engine.Info{}, e.fail(err, "ask engine")
	}
	info := result.Info
	return engine.Info{
		Version:    info.ServerVersion,
		APIVersion: e.client.ClientVersion(),
		Root:       info.DockerRootDir,
		Driver:     info.Driver,
		Memory:     info.MemTotal,
		CPUs:       info.NCPU,
		BuildKit:   ping.BuilderVersion == build.BuilderBuildKit,
		Warnings:   slices.DeleteFunc(info.Warnings, unimportant),
	}, nil
}

// unimportant tells warnings about limits that octohost does not use.
func unimportant(warning string) bool {
	return strings.Contains(warning, "blkio") || strings.Contains(warning, "kernel memory")
}

// filter asks for objects that carry all labels with exactly these values.
func filter(labels map[string]string) client.Filters {
	f := client.Filters{}
	for k, v := range labels {
		f.Add("label", k+"="+v)
	}
	return f
}
