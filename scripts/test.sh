#!/usr/bin/env bash
# test.sh [all|fast] [PACKAGE...] - run the tests and sum them up.
#
#   all   with the race detector; a test whose engine or tool is missing fails
#   fast  without either: what needs a container engine that is not there is skipped
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

mode=${1:-all}
[ $# -eq 0 ] || shift
[ $# -gt 0 ] || set -- ./...
export GOWORK=off
sum=(.cache/bin/gotestsum --format pkgname --format-hide-empty-pkg --)

case $mode in
  all)
    # buildx serves the tests of BuildKit builds.
    export OCTO_TEST_REQUIRE=1 OCTO_TEST_BUILDX=$PWD/.cache/bin/docker-buildx
    say "Tests with the race detector, against the engine of this machine"
    exec "${sum[@]}" -race -timeout 45m "$@"
    ;;
  fast)
    say "Tests without the race detector; what is missing here is skipped"
    exec "${sum[@]}" -short -timeout 5m "$@"
    ;;
  *) die "test.sh knows no mode $mode" "usage: test.sh [all|fast] [PACKAGE...]" ;;
esac
