#!/usr/bin/env bash
# run.sh - measures a push beside the raw floor (see main.go). Arguments go to it.
set -euo pipefail
cd "$(dirname "$0")/../.."
buildx=.cache/bin/docker-buildx
[ -x "$buildx" ] || buildx=
mkdir -p .cache/bin
go build -o .cache/bin/bench-push ./bench/push
exec .cache/bin/bench-push -octo bin/octo -buildx "$buildx" "$@"
