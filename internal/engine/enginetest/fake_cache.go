package enginetest

import "context"

// PruneBuildCache cuts what SetBuildCache has set.
func (f *Fake) PruneBuildCache(_ context.Context, keep int64) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	gained := max(0, f.cache-keep)
	f.cache -= gained
	return gained, nil
}

// BuildCacheSize returns what SetBuildCache has set.
func (f *Fake) BuildCacheSize(context.Context) (int64, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.cache, nil
}

// SetBuildCache says how large the build cache is. The fake's builds do not use it.
func (f *Fake) SetBuildCache(bytes int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.cache = bytes
}
