package docker

import (
	"maps"
	"net/netip"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/client"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
)

// capabilities are all that a container keeps of root's powers. What is not here
// is dropped, also what the engine gives by default: NET_RAW (forged packets on
// the shared bridge), MKNOD, SYS_CHROOT, AUDIT_WRITE, SETFCAP, SETPCAP, FSETID.
func capabilities() []string {
	return []string{
		"CHOWN",            // entry points of common images give a data directory to the user they run as
		"DAC_OVERRIDE",     // root in the image writes where such a user owns the files (nginx, php-fpm logs)
		"FOWNER",           // chmod of files that belong to that user, as package scripts and tar do
		"SETGID",           // start as root, then become the unprivileged group …
		"SETUID",           // … and user (gosu, su-exec, nginx and apache workers)
		"NET_BIND_SERVICE", // listen on port 80 of the container
		"KILL",             // a root supervisor signals workers that run as another user
	}
}

// createOptions turns what octohost wants into what the engine is asked for. It
// fails on an address that is none.
func createOptions(spec engine.Spec) (client.ContainerCreateOptions, error) {
	endpoint := &network.EndpointSettings{}
	if spec.Address != "" {
		ip, err := netip.ParseAddr(spec.Address)
		if err != nil {
			return client.ContainerCreateOptions{}, octo.Errorf(octo.ErrInvalid, "container %s: address %q is not an IP address", spec.Name, spec.Address)
		}
		endpoint.IPAMConfig = &network.EndpointIPAMConfig{IPv4Address: ip}
	}
	opts := client.ContainerCreateOptions{
		Name: spec.Name,
		Config: &container.Config{
			Image: spec.Image, Cmd: spec.Command, Env: spec.Env, Labels: maps.Clone(spec.Labels),
			// octohost checks health itself, from outside: a HEALTHCHECK of the
			// image would only cost processes.
			Healthcheck: &container.HealthConfig{Test: []string{"NONE"}},
		},
		HostConfig: hostConfig(spec),
	}
	if spec.Bare && len(spec.Command) > 0 {
		opts.Config.Entrypoint, opts.Config.Cmd = spec.Command[:1], spec.Command[1:]
	}
	if spec.Network != "" {
		opts.HostConfig.NetworkMode = container.NetworkMode(spec.Network)
		opts.NetworkingConfig = &network.NetworkingConfig{
			EndpointsConfig: map[string]*network.EndpointSettings{spec.Network: endpoint},
		}
	}
	return opts, nil
}

// hostConfig holds what a container may do and use. It mounts nothing of the
// machine and publishes nothing.
func hostConfig(spec engine.Spec) *container.HostConfig {
	yes := true
	host := &container.HostConfig{
		SecurityOpt: []string{"no-new-privileges"},
		CapDrop:     []string{"ALL"},
		CapAdd:      capabilities(),
		IpcMode:     container.IPCModePrivate,
		// Rotated by the engine, compressed, and readable through its API.
		LogConfig: container.LogConfig{Type: "local", Config: map[string]string{"max-size": "10m", "max-file": "3"}},
		// The node agent restarts containers: only it knows whether they are wanted.
		RestartPolicy: container.RestartPolicy{Name: container.RestartPolicyDisabled},
		// As process 1 a program would ignore SIGTERM unless it handles it, and
		// would have to reap orphans.
		Init: &yes,
		Resources: container.Resources{
			Memory:     spec.Memory,
			MemorySwap: spec.Memory, // memory and swap together: no swap
			NanoCPUs:   int64(spec.CPU * 1e9),
		},
	}
	if spec.Pids > 0 {
		host.PidsLimit = &spec.Pids
	}
	return host
}
