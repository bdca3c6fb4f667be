#!/bin/sh
# Puts ONNX Runtime beside the program below $PREFIX (default /usr/local), where the program looks for it.
# Arguments go to `bledsoe engine install`: --cuda, or --from DIR for a wheel fetched before.
set -eu

prefix="${PREFIX:-/usr/local}"
cache="$(mktemp -d)"
trap 'rm -rf "$cache"' EXIT
if ! BLEDSOE_CACHE="$cache" "$prefix/bin/bledsoe" engine install "$@"; then
    # The command ends by loading the library. With --cuda that needs a GPU's driver, which no image build has; the
    # folder is there only if the wheel's SHA-256 was right and everything was unpacked.
    [ -d "$cache/engine/cuda" ]
    echo "installed, but not loaded: no GPU here" >&2
fi
install -d "$prefix/lib/bledsoe"
# One of engine/cpu and engine/cuda is there.
cp -R "$cache"/engine/*/. "$prefix/lib/bledsoe/"
chmod -R a+rX "$prefix/lib/bledsoe"
