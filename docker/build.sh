#!/bin/sh
# Builds the program. Run from anywhere; extra arguments go to cargo.
set -eu

cd "$(dirname "$0")/.."
cargo build --release --locked --bin bledsoe "$@"
