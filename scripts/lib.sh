# lib.sh - what the scripts of octohost have in common; sourced, never run.
# shellcheck shell=bash

# Go is often installed where no login shell looks.
PATH=$PATH:/usr/local/go/bin

say() { printf '==> %s\n' "$*"; }
note() { printf '    %s\n' "$*"; }

# die MESSAGE...: one line each, the first is what is wrong, the others what to do.
die() {
  printf 'error: %s\n' "$1" >&2
  shift
  [ $# -eq 0 ] || printf '       %s\n' "$@" >&2
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# as_root COMMAND...: as it is, or with sudo where that needs no password.
as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif have sudo && sudo -n true 2>/dev/null; then
    sudo -n "$@"
  else
    die "this needs root: $*" "run the same make as root, or type that command yourself first"
  fi
}

# seconds_since START: whole seconds, where START is an earlier $SECONDS.
seconds_since() { echo "$((SECONDS - $1)) s"; }
