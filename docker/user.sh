#!/bin/sh
# Makes the user that the container runs as (no root, no password) and its folder /data. Needs root.
set -eu

useradd --uid 10001 --user-group --create-home --shell /usr/sbin/nologin bledsoe
install -d -o 10001 -g 10001 /data
