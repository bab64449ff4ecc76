package node

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
)

// Networker is what the agent does with networks that it no longer needs.
type Networker interface {
	Networks(ctx context.Context, labels map[string]string) ([]engine.Network, error)
	RemoveNetwork(ctx context.Context, id string) error
}

// SpareNetworks removes the networks in which no container is any more, but for the
// first, and returns their names. With dry they stay.
func (a *Agent) SpareNetworks(ctx context.Context, dry bool) ([]string, error) {
	select {
	case <-a.ready:
	default:
		return nil, nil // it is not known yet what is in them
	}
	return a.networks.spare(ctx, a.cfg.Engine, dry)
}

// spare removes networks without containers. Nobody is given a place in one meanwhile:
// who wants one finds it in doubt, and has to ask the engine, in whose turn this is.
func (n *networks) spare(ctx context.Context, e Networker, dry bool) ([]string, error) {
	select {
	case n.making <- struct{}{}:
		defer func() { <-n.making }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	all, err := e.Networks(ctx, map[string]string{engine.LabelHost: n.host})
	if err != nil {
		return nil, fmt.Errorf("list networks: %w", err)
	}
	var gone []string
	for _, net := range all {
		if net.Name == n.name(1) || !strings.HasPrefix(net.Name, n.prefix) || !n.vacate(net.Name, dry) {
			continue
		}
		if !dry {
			err := e.RemoveNetwork(ctx, net.ID)
			if errors.Is(err, octo.ErrConflict) {
				continue // somebody else's container is in it
			}
			if err != nil {
				return gone, fmt.Errorf("remove network %s: %w", net.Name, err)
			}
		}
		gone = append(gone, net.Name)
	}
	return gone, nil
}

// vacate reports whether nobody is in a network. Unless it is only asked, the network
// is in doubt from then on.
func (n *networks) vacate(name string, ask bool) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	net := n.net(name)
	if len(net.held) > 0 {
		return false
	}
	net.sure = net.sure && ask
	return true
}
