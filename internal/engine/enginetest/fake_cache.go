package enginetest

import "context"

// PruneBuildCache finds nothing to remove: the fake keeps no cache.
func (f *Fake) PruneBuildCache(context.Context, int64) (int64, error) { return 0, nil }
