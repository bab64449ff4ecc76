#!/usr/bin/env bash
# run.sh - measures changes of an app beside the raw start of a container (see main.go).
# Arguments go to it.
set -euo pipefail
cd "$(dirname "$0")/../.."
mkdir -p .cache/bin
go build -o .cache/bin/bench-life ./bench/life
exec .cache/bin/bench-life -octo bin/octo "$@"
