#!/usr/bin/env bash
# install.sh install|uninstall - put octo on this machine as a service, or take it
# away again. PREFIX (/usr/local) is where the binary goes; with DESTDIR the files go
# below it and nothing else is touched, as packagers want it. PURGE=yes lets
# uninstall also remove the configuration, all data, the user and the group.
set -euo pipefail
cd "$(dirname "$0")/.."
# shellcheck source=scripts/lib.sh
. scripts/lib.sh

prefix=${PREFIX:-/usr/local}
destdir=${DESTDIR:-}
binary=$destdir$prefix/bin/octo
unit=$destdir/etc/systemd/system/octohost.service
socket=${unit%.service}.socket
config=$destdir/etc/octohost/octo.toml

# here: whether this machine itself is meant, and not an image of one.
here() { [ -z "$destdir" ]; }

systemd_runs() { here && [ -d /run/systemd/system ]; }

add_user() {
  getent group octo >/dev/null || groupadd --system octo
  getent passwd octo >/dev/null ||
    useradd --system --gid octo --home-dir /var/lib/octohost --no-create-home --shell /usr/sbin/nologin \
      --comment 'octohost' octo
  if getent group docker >/dev/null; then
    usermod --append --groups docker octo
  else
    note "there is no group docker yet: install Docker (apt-get install docker.io), then type: usermod -aG docker octo"
  fi
}

install_files() {
  install -D -m 0755 bin/octo "$binary"
  install -d -m 0755 "$(dirname "$unit")"
  sed "s|@PREFIX@|$prefix|g" scripts/systemd/octohost.service >"$unit.new"
  chmod 0644 "$unit.new"
  mv "$unit.new" "$unit"
  install -m 0644 scripts/systemd/octohost.socket "$socket"
  if [ -e "$config" ]; then
    note "$config is kept as it is"
  else
    install -D -m 0644 scripts/systemd/octo.toml "$config"
  fi
}

do_install() {
  [ -x bin/octo ] || die "bin/octo is not built" "type: make build"
  if here && [ "$(id -u)" != 0 ]; then
    die "only root can install a service" "type: sudo make install, or give a DESTDIR"
  fi
  install_files
  say "Installed $binary, $config, $unit and ${socket##*/}"
  here || return 0
  add_user
  install -d -m 0750 -o octo -g octo /var/lib/octohost
  say "octo serve will run as user octo, with its data in /var/lib/octohost"
  ! systemd_runs || systemctl daemon-reload
  next
}

next() {
  local start="systemctl enable --now octohost"
  systemd_runs || start="setpriv --reuid octo --regid octo --init-groups --ambient-caps +net_bind_service --inh-caps +net_bind_service $prefix/bin/octo serve"
  if systemd_runs && systemctl is-active --quiet octohost; then
    start="systemctl restart octohost    # so that the new version serves"
  fi
  cat <<TEXT

Next:
  $start
  octo keys:add ~/.ssh/id_ed25519.pub    # admits the first admin, and opens the SSH port
  octo doctor                            # is all well?
TEXT
}

do_uninstall() {
  if here && [ "$(id -u)" != 0 ]; then
    die "only root can uninstall a service" "type: sudo make uninstall"
  fi
  if systemd_runs && [ -e "$unit" ]; then
    systemctl disable --now octohost.socket octohost || note "octohost could not be stopped"
  fi
  rm -f "$unit" "$socket" "$binary"
  ! systemd_runs || systemctl daemon-reload
  say "Removed $binary, $unit and ${socket##*/}"
  if [ "${PURGE:-}" = yes ]; then
    purge
  else
    note "kept: $destdir/etc/octohost, $destdir/var/lib/octohost and the user octo (PURGE=yes removes them)"
    ! here || note "apps go on running: to end them destroy them before, with octo apps:destroy"
  fi
}

purge() {
  rm -rf "$destdir/etc/octohost" "$destdir/var/lib/octohost"
  if here; then
    ! getent passwd octo >/dev/null || userdel octo
    ! getent group octo >/dev/null || groupdel octo
  fi
  say "Removed the configuration, the data and the user octo"
}

case ${1:-} in
  install | uninstall) "do_$1" ;;
  *) die "install.sh wants to know what to do" "usage: install.sh install|uninstall" ;;
esac
