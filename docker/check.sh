#!/bin/sh
# Runs the demo of the program below $PREFIX (default /usr/local), as an ordinary user where it can.
set -eu

prefix="${PREFIX:-/usr/local}"
out="$(mktemp -d)"
trap 'rm -rf "$out"' EXIT
chmod 777 "$out"
if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null; then
    # 65534 is nobody.
    set -- setpriv --reuid 65534 --regid 65534 --clear-groups env HOME="$out" "$prefix/bin/bledsoe" demo --out "$out/demo"
else
    set -- "$prefix/bin/bledsoe" demo --out "$out/demo"
fi
"$@"
test -s "$out/demo/report.html"
