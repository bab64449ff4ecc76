#!/usr/bin/env bash
# fuzz.sh [TIME] - let each fuzz target search for TIME (5s).
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

for_each=${1:-5s}
export GOWORK=off
failed=
while IFS=: read -r file target; do
  package=./$(dirname "$file")
  say "$target in $package"
  go test -run '^$' -fuzz "^$target\$" -fuzztime "$for_each" -fuzzminimizetime 10x "$package" || failed="$failed $package:$target"
done < <(grep -ro --include='*_test.go' '^func Fuzz[A-Za-z0-9_]*' internal cmd | sed 's/func //' | sort)
[ -z "$failed" ] || die "these targets found something:$failed" "what they found is in testdata/fuzz beside the test: mend it and commit it as a test"
