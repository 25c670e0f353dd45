#!/bin/sh
# Install what the build needs and this Debian machine lacks. With everything present it only asks
# dpkg, in milliseconds. `scripts/install-deps.sh [GROUP]...`; groups beyond the build's own:
#   bench  Python's venv, for `make bench`; test-live, python: the same
#   fuzz   clang, for `make fuzz`
#   tidy   clang-tidy, for `make tidy`
#   test   an HTTP/2 server, the openssl command, Python's venv and SIMDe, for `make test`
set -eu

here=$(cd "$(dirname "$0")" && pwd)
. "$here/lib.sh"

# pip fetches llama.cpp's source and the small model. binutils and util-linux (flock) come along.
packages='build-essential cmake ninja-build pkgconf libjansson-dev libcurl4-openssl-dev libuv1-dev
libpcre2-dev libutf8proc-dev libunistring-dev libcmocka-dev python3 python3-pip ca-certificates'
for group in "$@"; do
    case $group in
    bench | python | test-live) packages="$packages python3-venv" ;;
    fuzz) packages="$packages clang" ;;
    tidy) packages="$packages clang-tidy" ;;
    test) packages="$packages nghttp2-server openssl python3-venv libsimde-dev" ;;
    *) die "install-deps: no group $group (bench, fuzz, python, test, test-live, tidy)" ;;
    esac
done

if ! command -v dpkg-query >/dev/null 2>&1; then
    for tool in cc c++ make cmake pkg-config python3; do
        command -v "$tool" >/dev/null 2>&1 ||
            die "no $tool, and no dpkg to install it with; install the equivalents of: $(echo $packages)"
    done
    exit 0
fi

installed=$(dpkg-query -W -f='${db:Status-Status} ${Package}\n' $packages 2>/dev/null |
    sed -n 's/^installed //p' | tr '\n' ' ')
missing=
for package in $packages; do
    case " $installed" in
    *" $package "*) ;;
    *) missing="$missing $package" ;;
    esac
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" = 0 ]; then
    as_root=
elif command -v sudo >/dev/null 2>&1; then
    as_root=sudo
else
    die "missing packages, and neither root nor sudo to install them; as root: apt-get install$missing"
fi

log=$(mktemp)
trap 'rm -f "$log"' EXIT
trap 'exit 130' INT TERM HUP

fail() {
    progress_end
    tail -n 15 "$log" >&2
    die "$1"
}

apt() {
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get -q -y -o Dpkg::Use-Pty=0 "$@"
}

say "installing$missing"
apt update >"$log" 2>&1 || fail "apt-get update failed"
# Four lines a package: fetched, preparing, unpacking, setting up. Counted against apt's own total.
rm -f "$log.status"
{
    apt install --no-install-recommends $missing 2>&1 && echo 0 >"$log.status"
} | {
    total=0 done=0
    while IFS= read -r line; do
        printf '%s\n' "$line" >>"$log"
        case $line in
        *" newly installed, "*)
            new=${line%% newly*}
            new=${new##* }
            upgraded=${line%% *}
            total=$((new + upgraded))
            ;;
        "Setting up "*)
            done=$((done + 1))
            [ "$total" -lt "$done" ] || progress "installing packages" "$done" "$total"
            ;;
        "Unpacking "*)
            [ ! -t 2 ] || printf '\r\033[Kinference: unpacking %s' "$(echo "$line" | cut -d' ' -f2)" >&2
            ;;
        esac
    done
}
if [ ! -f "$log.status" ]; then
    fail "apt-get install failed"
fi
rm -f "$log.status"
progress_end
