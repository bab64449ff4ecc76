package platform

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/octohost/octohost/internal/octo"
)

// Instances returns the instances of app, or, for "", of all apps that who may see.
func (p *Platform) Instances(ctx context.Context, who octo.Identity, app octo.Name) ([]octo.Instance, error) {
	sees, err := p.sees(ctx, who)
	if err != nil {
		return nil, err
	}
	docs, err := p.have().All(ctx)
	if err != nil {
		return nil, fmt.Errorf("list instances: %w", err)
	}
	list := []octo.Instance{}
	for _, d := range docs {
		for _, i := range d.Value {
			if sees(i.App) && (app == "" || i.App == app) {
				list = append(list, i)
			}
		}
	}
	slices.SortFunc(list, func(a, b octo.Instance) int {
		return cmp.Or(cmp.Compare(a.App, b.App), cmp.Compare(a.Process, b.Process), cmp.Compare(a.Release, b.Release), cmp.Compare(a.ID.Ordinal(), b.ID.Ordinal()))
	})
	return list, nil
}
