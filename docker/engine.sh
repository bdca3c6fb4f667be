#!/bin/sh
# Puts ONNX Runtime beside the program below $PREFIX (default /usr/local), where the program looks for it.
# Arguments go to `bledsoe engine install`: --cuda, or --from DIR for a wheel fetched before.
set -eu

prefix="${PREFIX:-/usr/local}"
cache="$(mktemp -d)"
trap 'rm -rf "$cache"' EXIT
BLEDSOE_CACHE="$cache" "$prefix/bin/bledsoe" engine install "$@"
install -d "$prefix/lib/bledsoe"
# One of engine/cpu and engine/cuda is there.
cp -R "$cache"/engine/*/. "$prefix/lib/bledsoe/"
chmod -R a+rX "$prefix/lib/bledsoe"
