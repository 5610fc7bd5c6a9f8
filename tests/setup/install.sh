#!/bin/sh
# Brings what the demo and the tests need and a fresh machine may lack: Valkey, bubblewrap, and (for tests) Redis, moto and boto3.
# Installs Debian packages only as root on Debian 12; elsewhere it says what to install and stops.
# usage: install.sh demo|test VENV
set -eu
what=$1
venv=$2
here=$(dirname "$0")

say() { echo "setup: $*" >&2; }

need() {
    for program in "$@"; do
        command -v "$program" >/dev/null 2>&1 || echo "$program"
    done
}

# Redis's server goes by the name it is called with; redis-check-rdb is in redis-tools, which brings no service.
missing=$(need valkey-server valkey-cli bwrap cc python3 pkg-config redis-check-rdb)
[ "$what" = demo ] && missing=$(need valkey-server valkey-cli bwrap cc)

if [ -n "$missing" ]; then
    codename=$(. /etc/os-release 2>/dev/null && echo "${VERSION_CODENAME:-}" || true)
    if [ "$(id -u)" != 0 ] || [ "$codename" != bookworm ]; then
        say "missing:" $missing
        say "please install Valkey 8.0 or later (valkey-server, valkey-cli), bubblewrap (bwrap), a C compiler, pkg-config, Python 3"
        say "and Redis 7.0 or later (redis-check-rdb; only for the tests),"
        say "or run this as root on Debian 12, where it installs them from Debian's own packages"
        exit 1
    fi
    say "installing Debian packages for:" $missing
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -qq
    if ! apt-cache policy valkey-server | grep -q 'Candidate: [0-9]'; then
        # Valkey is in bookworm-backports, on the same mirror that bookworm itself comes from.
        mirror=$(apt-get indextargets --format '$(REPO_URI) $(CODENAME)' 'Identifier: Packages' | awk '$2 == "bookworm" { print $1; exit }')
        [ -n "$mirror" ] || { say "no Debian bookworm mirror is configured in apt"; exit 1; }
        echo "deb $mirror bookworm-backports main" >/etc/apt/sources.list.d/bookworm-backports.list
        apt-get update -qq
    fi
    # The package would start a server of its own on 6379; the tests and the demo start theirs.
    policy=/usr/sbin/policy-rc.d
    made=no
    redis=
    [ "$what" = demo ] || redis=redis-tools
    [ -e "$policy" ] || { printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy" && made=yes; }
    status=0
    apt-get install -y -qq --no-install-recommends bubblewrap build-essential pkg-config python3 python3-venv $redis >/dev/null || status=$?
    [ "$status" != 0 ] || apt-get install -y -qq --no-install-recommends -t bookworm-backports valkey-server valkey-tools >/dev/null || status=$?
    [ "$made" = no ] || rm -f "$policy"
    [ "$status" = 0 ] || { say "apt-get failed with $status"; exit 1; }
    still=$(need valkey-server valkey-cli bwrap cc ${redis:+redis-check-rdb})
    [ -z "$still" ] || { say "still missing:" $still; exit 1; }
fi

command -v cargo >/dev/null 2>&1 || { say "please install Rust $(sed -n 's/^channel = "\(.*\)"/\1/p' "$here/../../rust-toolchain.toml") with rustup"; exit 1; }

[ "$what" = test ] || exit 0

# The stamp names what is in the venv: a changed list makes it anew.
stamp=$venv/$(cksum <"$here/requirements.txt" | tr ' ' '-').stamp
if [ ! -e "$stamp" ]; then
    say "making a Python environment with moto and boto3 in $venv"
    rm -rf "$venv"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --disable-pip-version-check --requirement "$here/requirements.txt"
    touch "$stamp"
fi
