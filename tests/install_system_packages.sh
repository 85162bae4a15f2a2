#!/bin/sh
# What the tests need beside Python packages: a browser and its driver, sshd, PostgreSQL's server, QEMU.
# Installs what is missing where it may (Debian, Ubuntu, as root), and says what to install where it may not.
set -eu

missing=""
have() { command -v "$1" >/dev/null 2>&1; }
have chromium || have chromium-browser || have google-chrome || missing="$missing chromium"
have chromedriver || missing="$missing chromium-driver"
have ssh-keygen || missing="$missing openssh-client"
{ have sshd || [ -x /usr/sbin/sshd ]; } || missing="$missing openssh-server"
{ have initdb || ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1; } || missing="$missing postgresql"

# The emulated board needs root in any case, and its tests say so where they are skipped.
{ [ "$(id -u)" != 0 ] || have qemu-aarch64-static || [ "$(uname -m)" = aarch64 ]; } || missing="$missing qemu-user-static"

[ -n "$missing" ] || exit 0
if have apt-get && [ "$(id -u)" = 0 ]; then
    apt-get update -qq
    # shellcheck disable=SC2086 - a list of packages
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $missing >/dev/null
else
    echo "the tests need these programs (names of Debian's packages):$missing" >&2
    echo "  what to do: install them, say with sudo apt-get install$missing" >&2
    exit 1
fi
