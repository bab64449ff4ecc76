#!/usr/bin/env bash
# setup.sh [packages] [engine] [tools] [buildx] - make this machine able to build,
# test and run octohost. Without arguments: everything. What is there already is left
# as it is, so it may run as often as you like.
#
#   packages  programs from Debian's archive: git, ssh, Docker, a C compiler for -race …
#   engine    a container engine that answers; one is started only if none does
#   tools     linters, built from tools/go.mod to .cache/bin
#   buildx    docker-buildx, built from tools/buildx/go.mod to .cache/bin
#
# Environment: DOCKER_HOST (unix:// only is started), OCTO_ENGINE_LOG, OCTO_ENGINE_PID.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

bin=$PWD/.cache/bin
socket=${DOCKER_HOST:-unix:///var/run/docker.sock}
engine_log=${OCTO_ENGINE_LOG:-/var/log/octohost-dockerd.log}
engine_pid=${OCTO_ENGINE_PID:-/run/octohost-dockerd.pid}
started= # process id of the engine that this run started

### packages

# missing_packages: the Debian packages of programs that are not here.
missing_packages() {
  local pair
  for pair in git:git ssh:openssh-client ssh-keygen:openssh-client curl:curl iptables:iptables \
    setsid:util-linux pgrep:procps xargs:findutils tar:tar gcc:gcc; do
    have "${pair%%:*}" || echo "${pair#*:}"
  done
  [ -e /etc/ssl/certs/ca-certificates.crt ] || echo ca-certificates
  # The race detector links with the C library.
  [ -e /usr/include/stdio.h ] || echo libc6-dev
  # An engine that answers needs no package, wherever it comes from.
  engine_answers || have dockerd || echo docker.io
}

packages() {
  local missing
  missing=$(missing_packages | sort -u | tr '\n' ' ')
  if [ -n "$missing" ]; then
    have apt-get || die "missing on this machine: $missing" "they are names of Debian packages; install what corresponds to them here, then try again"
    say "Installing $missing"
    # No --quiet=2: whoever waits may see what for.
    as_root env DEBIAN_FRONTEND=noninteractive apt-get update -q ||
      die "apt-get update failed" "check the network and /etc/apt/sources.list, then try again"
    # shellcheck disable=SC2086 # one word each
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $missing ||
      die "apt-get could not install: $missing"
  fi
  docker_client
  have go || die "Go is not installed" "get it from https://go.dev/dl/ and unpack it to /usr/local/go"
  say "Programs: $(git --version), $(go version | cut -d' ' -f3), $(gcc --version | head -n 1)"
}

# docker_client: from Debian 13 on it is a package of its own.
docker_client() {
  have docker && return
  if have apt-get && apt-cache show docker-cli >/dev/null 2>&1; then
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends docker-cli
  else
    note "no docker command here: octo needs none, but you may like one to look around"
  fi
}

### engine

# engine_answers: whether there is a container engine to talk to.
engine_answers() {
  case $socket in
    unix://*) [ -S "${socket#unix://}" ] && ask_engine >/dev/null ;;
    *) have docker && docker version >/dev/null 2>&1 ;;
  esac
}

# ask_engine: what the engine says of itself, in JSON.
ask_engine() {
  if have curl; then
    curl -fsS --max-time 5 --unix-socket "${socket#unix://}" http://engine/version 2>/dev/null
  else
    docker -H "$socket" version --format '{{json .Server}}' 2>/dev/null
  fi
}

engine_version() {
  case $socket in
    unix://*) ask_engine | grep -o '"Version":"[^"]*"' | head -n 1 | cut -d'"' -f4 ;;
    *) docker version --format '{{.Server.Version}}' ;;
  esac
}

engine() {
  if engine_answers; then
    say "Engine: Docker $(engine_version) answers at $socket"
    return
  fi
  local path=${socket#unix://}
  case $socket in
    unix://*) ;;
    *) die "no engine answers at DOCKER_HOST=$socket" "start it, or unset DOCKER_HOST to use the one of this machine" ;;
  esac
  if [ -S "$path" ] && [ ! -w "$path" ]; then
    die "you may not use the engine at $path" "as root: usermod -aG docker $(id -un), then log in again; or run this as root"
  fi
  if [ -d /run/systemd/system ] && [ "$path" = /var/run/docker.sock ]; then
    say "Starting Docker with systemctl"
    as_root systemctl start docker || die "systemctl start docker failed" "see: journalctl -u docker"
  else
    start_engine "$path"
  fi
  wait_for_engine
}

# living_dockerd: the process id of an engine that was started, by an earlier run or by
# the package's own script, and may not answer yet. (One that was killed may be a
# zombie for a while, where nobody collects it.)
living_dockerd() {
  local file
  for file in "$engine_pid" /var/run/docker.pid /var/run/docker-ssd.pid; do
    if [ -e "$file" ] && grep -Eqs '^[0-9]+ \(dockerd\) [^ZX]' "/proc/$(cat "$file")/stat"; then
      cat "$file"
      return
    fi
  done
}

# start_engine SOCKET: runs dockerd where no init system does it.
start_engine() {
  have dockerd || die "dockerd is not installed" "type: scripts/setup.sh packages"
  [ "$(id -u)" = 0 ] || die "no engine answers at $socket, and only root can start one" "run this as root, or start Docker yourself"
  local living
  living=$(living_dockerd)
  if [ -n "$living" ]; then
    say "Waiting for dockerd, which runs as process $living"
    return
  fi
  rm -f "$engine_pid" /var/run/docker/containerd/containerd.pid # or the next one would refuse to start
  mount_cgroups
  say "Starting dockerd: log in $engine_log, pid in $engine_pid"
  mkdir -p "$(dirname "$engine_log")" "$(dirname "$engine_pid")"
  PATH=$(engine_path) setsid dockerd --host "unix://$1" --pidfile "$engine_pid" >>"$engine_log" 2>&1 </dev/null &
  started=$!
}

# mount_cgroups: an init system would have done it.
mount_cgroups() {
  grep -q ' /sys/fs/cgroup' /proc/mounts && return
  mount -t cgroup2 cgroup2 /sys/fs/cgroup || note "cgroups could not be mounted at /sys/fs/cgroup: the engine may refuse to start"
}

# engine_path: a PATH in which iptables is the one that this kernel understands.
engine_path() {
  local shim=$PWD/.cache/iptables-legacy
  if iptables -t nat -n -L >/dev/null 2>&1 || ! iptables-legacy -t nat -n -L >/dev/null 2>&1; then
    echo "$PATH"
    return
  fi
  mkdir -p "$shim"
  ln -sfn "$(command -v iptables-legacy)" "$shim/iptables"
  ln -sfn "$(command -v ip6tables-legacy)" "$shim/ip6tables"
  echo "$shim:$PATH"
}

wait_for_engine() {
  local start=$SECONDS
  until engine_answers; do
    if [ $((SECONDS - start)) -ge 60 ] || { [ -n "$started" ] && ! kill -0 "$started" 2>/dev/null; }; then
      [ ! -e "$engine_log" ] || tail -n 20 "$engine_log" >&2
      die "the engine does not answer at $socket after $(seconds_since "$start")" "see $engine_log, or journalctl -u docker"
    fi
    sleep 0.2
  done
  say "Engine: Docker $(engine_version) answers at $socket after $(seconds_since "$start")"
}

### tools

# stamp FILE...: changes when what a tool is built from changes.
stamp() { { go version; cat "$@"; } | sha256sum | cut -d' ' -f1; }

# cached NAME STAMP: whether NAME was built from what STAMP says.
cached() { [ -e "$bin/$1.stamp" ] && [ "$(cat "$bin/$1.stamp")" = "$2" ]; }

tools() {
  local now start=$SECONDS
  now=$(stamp tools/go.mod tools/go.sum)
  if cached tools "$now"; then
    say "Tools: in $bin"
    return
  fi
  say "Building the linters (once; about a minute on two cores)"
  mkdir -p "$bin"
  (cd tools && GOFLAGS=-mod=readonly GOWORK=off go build -trimpath -buildvcs=false -o "$bin/" tool) ||
    die "the linters could not be built" "their modules come from the Go module proxy: check the network and go env GOPROXY"
  echo "$now" >"$bin/tools.stamp"
  say "Tools: built in $(seconds_since "$start")"
}

buildx() {
  local now version start=$SECONDS package=github.com/docker/buildx
  now=$(stamp tools/buildx/go.mod tools/buildx/go.sum)
  if cached docker-buildx "$now"; then
    say "buildx: $bin/docker-buildx"
    return
  fi
  version=$(awk -v m="$package" '$1 == m {print $2}' tools/buildx/go.mod)
  say "Building docker-buildx $version (once; about three minutes on two cores)"
  mkdir -p "$bin"
  (cd tools/buildx && CGO_ENABLED=0 GOFLAGS=-mod=readonly GOWORK=off go build -trimpath -buildvcs=false \
    -ldflags "-s -w -X $package/version.Version=$version" -o "$bin/docker-buildx" "$package/cmd/buildx") ||
    die "docker-buildx could not be built" "its modules come from the Go module proxy: check the network and go env GOPROXY"
  echo "$now" >"$bin/docker-buildx.stamp"
  say "buildx: built in $(seconds_since "$start")"
}

[ $# -gt 0 ] || set -- packages engine tools buildx
for part in "$@"; do
  case $part in
    packages | engine | tools | buildx) "$part" ;;
    *) die "setup.sh knows no part $part" "usage: setup.sh [packages] [engine] [tools] [buildx]" ;;
  esac
done
