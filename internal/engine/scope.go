package engine

// What BuildKit keeps caches apart by. It has no option for that, but the result of a
// RUN step depends on the names in the hosts file that the step sees, and a build
// argument says in which name space its cache mounts are.

// ScopeHost returns a line of the hosts file (name:address) for builds of a scope.
func ScopeHost(scope string) string { return scope + ".build.octohost.internal:127.0.0.1" }

// ScopeArg is the build argument whose value is the scope
// (https://docs.docker.com/reference/dockerfile/#buildkit-built-in-build-args).
const ScopeArg = "BUILDKIT_CACHE_MOUNT_NS"
