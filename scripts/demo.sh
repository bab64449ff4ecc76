#!/usr/bin/env bash
# demo.sh start|stop - a git push that makes a site live, seen with your own eyes.
#
# start: runs octo serve with a throw-away data directory (.demo) on free ports of
#        127.0.0.1, pushes examples/hello to it over SSH, requests it, pushes a change
#        while requests arrive without a pause, and leaves it running.
# stop:  removes everything that start made.
set -euo pipefail
cd "$(dirname "$0")/.."
root=$PWD
demo=$root/.demo
octo=$root/bin/octo

bold='' dim='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ]; then
  bold=$'\033[1m' dim=$'\033[2m' plain=$'\033[0m'
fi
say() { printf '\n%s== %s%s\n' "$bold" "$*" "$plain"; }
run() { printf '%s$ %s%s\n' "$dim" "$*" "$plain"; "$@"; }

# free_port FIRST: the first port from FIRST on that nobody listens on.
free_port() {
  local port=$1
  while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 1)); done
  echo "$port"
}

# site PATH...: the hello site's curl, through the proxy.
site() { curl -fsS --resolve "hello.localhost:$http_port:127.0.0.1" "http://hello.localhost:$http_port/"; }

wait_for() { # wait_for WHAT SECONDS COMMAND...
  local what=$1 left=$(($2 * 10)); shift 2
  until "$@" >/dev/null 2>&1; do
    left=$((left - 1))
    if [ "$left" -le 0 ]; then
      echo "demo: $what did not come up; the end of $demo/octo.log:" >&2
      tail -n 20 "$demo/octo.log" >&2
      exit 1
    fi
    sleep 0.1
  done
}

start() {
  if [ -e "$demo" ]; then
    echo "A demo is here already: 'make demo-stop' removes it first."
    stop
  fi
  mkdir -m 700 "$demo"
  http_port=$(free_port 8080)
  ssh_port=$(free_port 2222)

  say "A key for you, and octo serve on 127.0.0.1:$http_port (sites) and :$ssh_port (git)"
  ssh-keygen -q -t ed25519 -N '' -C you@demo -f "$demo/key"
  setsid "$octo" serve --data "$demo/data" --http "127.0.0.1:$http_port" --ssh "127.0.0.1:$ssh_port" \
    --domain localhost --authorize "$demo/key.pub" >"$demo/octo.log" 2>&1 </dev/null &
  echo $! >"$demo/octo.pid"
  export OCTO_SOCKET=$demo/data/octo.sock
  wait_for "octo serve" 30 "$octo" apps
  wait_for "the SSH port" 10 bash -c "exec 3<>/dev/tcp/127.0.0.1/$ssh_port"

  say "examples/hello as a repository of yours, compiled on this machine"
  cp -r examples/hello "$demo/hello"
  (cd "$demo/hello" && GOWORK=off CGO_ENABLED=0 go build -trimpath -o hello .)
  printf '#!/bin/sh\nexec ssh -F /dev/null -i %q -o IdentitiesOnly=yes -o UserKnownHostsFile=%q -o StrictHostKeyChecking=accept-new -o LogLevel=ERROR "$@"\n' \
    "$demo/key" "$demo/known_hosts" >"$demo/ssh"
  chmod +x "$demo/ssh"
  cd "$demo/hello"
  git init -q -b main
  git config user.name you
  git config user.email you@demo
  git config core.sshCommand "$(printf %q "$demo/ssh")"
  git add -A
  git commit -q -m "Say hello"
  git remote add octo "ssh://octo@127.0.0.1:$ssh_port/hello"

  say "The first push"
  run git push octo main
  say "It is live"
  run curl -sS "http://hello.localhost:$http_port/" || site

  say "A change, pushed while 200 requests arrive each second"
  (cd "$root" && go build -o "$demo/load" ./bench/load)
  "$demo/load" -host hello.localhost -addr "127.0.0.1:$http_port" -rate 200 >"$demo/load.json" &
  load=$!
  sleep 1
  echo 'Hello again, and nobody noticed!' >greeting.txt
  git commit -q -am "Say it better"
  run git push octo main
  sleep 1
  kill -TERM "$load"
  lost=0
  wait "$load" || lost=$?
  say "What the visitors saw meanwhile"
  cat "$demo/load.json"
  if [ "$lost" != 0 ]; then
    echo "demo: requests were lost" >&2
    exit 1
  fi
  run "$octo" releases -a hello
  run "$octo" ps -a hello
  hints
}

hints() {
  say "It goes on running. Try:"
  cat <<EOF
  export OCTO_SOCKET=$demo/data/octo.sock PATH=$root/bin:\$PATH
  octo apps                                   # all apps
  octo logs -a hello -f                       # what it prints
  octo rollback -a hello                      # back to v1, in a moment
  octo events -f                              # what happens
  octo doctor                                 # is all well on this machine?
  cd $demo/hello && \$EDITOR greeting.txt && git commit -am 'My own' && git push octo main
  $demo/ssh -p $ssh_port octo@127.0.0.1 apps   # the same commands over SSH
  make demo-stop                              # removes everything that this made
EOF
}

stop() {
  if [ ! -e "$demo" ]; then
    echo "No demo is here."
    return
  fi
  export OCTO_SOCKET=$demo/data/octo.sock
  for app in $("$octo" apps --json 2>/dev/null | grep -o '"name": *"[^"]*"' | cut -d'"' -f4); do
    "$octo" apps:destroy "$app" --confirm "$app" || true
  done
  if [ -e "$demo/octo.pid" ]; then
    pid=$(cat "$demo/octo.pid")
    kill -TERM "$pid" 2>/dev/null || true
    for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
    kill -KILL "$pid" 2>/dev/null || true
  fi
  if [ -e "$demo/data/id" ]; then # what a daemon that died could not remove itself
    label="label=octohost.host=$(cat "$demo/data/id")"
    docker ps -aq --filter "$label" | xargs -r docker rm -f >/dev/null
    docker images -q --filter "$label" | sort -u | xargs -r docker rmi -f >/dev/null
    docker network ls -q --filter "$label" | xargs -r docker network rm >/dev/null
  fi
  rm -rf "$demo"
  echo "The demo is gone: its containers, images, network, keys, repository and data."
}

case ${1:-} in
  start | stop) "$1" ;;
  *) echo "usage: $0 start|stop" >&2; exit 2 ;;
esac
