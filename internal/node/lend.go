package node

import (
	"context"
	"errors"
	"maps"

	"github.com/octohost/octohost/internal/engine"
	"github.com/octohost/octohost/internal/octo"
)

// Lend calls start with spec at a place that is free: an address in one of the
// networks, and the labels by which it is known. Where the engine says that the place
// is taken (octo.ErrConflict), it calls start again with another one. The container is
// somebody else's to look after; the place is given back by Return.
func (a *Agent) Lend(ctx context.Context, spec engine.Spec, start func(engine.Spec) error) error {
	select {
	case <-a.ready: // not before it is known which places are taken
	case <-ctx.Done():
		return ctx.Err()
	}
	return a.networks.somewhere(ctx, func(at place) error {
		spec := spec
		spec.Labels = maps.Clone(spec.Labels)
		at.set(&spec)
		return start(spec)
	})
}

// Return takes back the place of a container that is gone.
func (a *Agent) Return(c engine.Container) { a.networks.free(placeOf(c)) }

// set puts a container at the place.
func (p place) set(spec *engine.Spec) {
	spec.Network, spec.Address = p.network, p.address.String()
	spec.Labels[engine.LabelNetwork], spec.Labels[engine.LabelAddress] = spec.Network, spec.Address
}

// somewhere calls start with one free place after the other, until one is not taken
// after all.
func (n *networks) somewhere(ctx context.Context, start func(place) error) error {
	var lastErr error
	for range maxPlaces {
		at, err := n.take(ctx)
		if err != nil {
			return err
		}
		if err = start(at); err == nil {
			return nil
		}
		n.free(at)
		if !errors.Is(err, octo.ErrConflict) {
			n.forget(at.network) // perhaps it is what is missing
			return err
		}
		lastErr = err
	}
	return lastErr
}
