#!/bin/sh
# Installs the program that build.sh made, and the licences, below $PREFIX (default /usr/local).
set -eu

cd "$(dirname "$0")/.."
prefix="${PREFIX:-/usr/local}"
doc="$prefix/share/doc/bledsoe"
install -d "$prefix/bin" "$doc"
install -m 755 "${CARGO_TARGET_DIR:-target}/release/bledsoe" "$prefix/bin/bledsoe"
install -m 644 LICENSE-MIT LICENSE-APACHE MODELS.md "$doc"
install -m 644 examples/photos/README.md "$doc/photos.md"
