#!/bin/sh
# Installs the Debian or Ubuntu packages that a stage needs. Needs root.
# Usage: packages.sh build | runtime
set -eu

case "${1:-}" in
    # A C compiler and linker for Rust; Python with pip to fetch the engine's wheel.
    build) packages="gcc libc6-dev python3 python3-pip" ;;
    # What ONNX Runtime's libraries link to.
    runtime) packages="libstdc++6 libgcc-s1" ;;
    *) echo "usage: packages.sh build | runtime" >&2; exit 2 ;;
esac
export DEBIAN_FRONTEND=noninteractive
apt-get update
# Unquoted: one word a package.
# shellcheck disable=SC2086
apt-get install --yes --no-install-recommends $packages
rm -rf /var/lib/apt/lists/*
