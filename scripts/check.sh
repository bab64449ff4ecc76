#!/usr/bin/env bash
# check.sh [CHECK...] - everything that can be said about the code without running
# it. Without arguments: all checks, each to its end, with a summary.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

bin=$PWD/.cache/bin
export GOWORK=off

# go_files: our Go files, also those that nobody has committed yet.
go_files() { git ls-files -z --cached --others --exclude-standard -- '*.go' | xargs -0 -r ls -d 2>/dev/null; }

# format: gofumpt prints the files that it would change.
format() {
  local wrong
  wrong=$(go_files | xargs -r "$bin/gofumpt" -l) || return
  [ -z "$wrong" ] || { echo "$wrong"; echo "format them with: .cache/bin/gofumpt -w FILE"; return 1; }
}

vet() {
  go vet ./... && go vet -tags failpoint ./... && (cd examples/hello && go vet ./...)
}

static() { "$bin/staticcheck" ./...; }

# errors: an error may be left alone where a comment on its line says why.
errors() {
  local found
  found=$("$bin/errcheck" -ignoretests ./... 2>&1 | grep -v '// ')
  [ -z "$found" ] || { echo "$found"; echo "handle them, or say why not: _ = f() // reason"; return 1; }
}

# shape: sizes, imports and documentation, by tests of our own. They read the source
# only, so that they also help where something does not compile.
shape() { go test -count=1 internal/daemon/imports_test.go internal/daemon/shape_test.go; }

# platforms: the client is used on laptops, too.
platforms() { CGO_ENABLED=0 GOOS=darwin GOARCH=arm64 go build -o /dev/null ./cmd/octo; }

# tidy: go.mod and go.sum are what go mod tidy would make of them.
tidy() {
  local dir wrong=0
  for dir in . tools tools/buildx examples/hello; do
    (cd "$dir" && go mod tidy -diff) || { echo "in $dir: go mod tidy"; wrong=1; }
  done
  return $wrong
}

# scripts: they parse; shellcheck says more where it is installed.
scripts() {
  local file
  for file in scripts/*.sh .ci/run $(git ls-files 'bench/**/*.sh'); do
    bash -n "$file" || return
  done
  ! have shellcheck || shellcheck -x scripts/*.sh .ci/run
}

# units: systemd understands its units, where there is a systemd to ask.
units() {
  have systemd-analyze || return 0
  local dir
  dir=$(mktemp -d) || return
  sed -e 's|@PREFIX@/bin/octo|/bin/true|' scripts/systemd/octohost.service >"$dir/octohost.service"
  cp scripts/systemd/octohost.socket "$dir/"
  # It also complains about units of this machine, and about a missing user octo.
  local found
  found=$(systemd-analyze verify --man=no --recursive-errors=no "$dir/octohost.service" "$dir/octohost.socket" 2>&1 | grep -F octohost.s)
  rm -rf "$dir"
  [ -z "$found" ] || { echo "$found"; return 1; }
}

[ $# -gt 0 ] || set -- format vet static errors shape platforms tidy scripts units
failed=
for check in "$@"; do
  start=$SECONDS
  if output=$("$check" 2>&1); then
    printf 'ok      %-10s %s\n' "$check" "$(seconds_since "$start")"
  else
    printf 'FAILED  %-10s %s\n%s\n' "$check" "$(seconds_since "$start")" "$output"
    failed="$failed $check"
  fi
done
[ -z "$failed" ] || die "these checks failed:$failed" "one alone: scripts/check.sh$failed"
