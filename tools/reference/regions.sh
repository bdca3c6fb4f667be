#!/bin/sh
# Makes the golden files of crates/bledsoe/tests/agreement/regions.rs with exiftool (Debian: libimage-exiftool-perl):
# regions as it writes them, in both of its forms, and what it reads in ours.
#
#     BLEDSOE_WRITE_GOLDEN=1 cargo test --release --workspace --test agreement regions   # ours.xmp, added.xmp
#     tools/reference/regions.sh
set -eu
cd "$(dirname "$0")/../../crates/bledsoe/tests/agreement/golden/regions"
info='{AppliedToDimensions={W=4000,H=3000,Unit=pixel},RegionList=[
{Area={X=0.25,Y=0.4,W=0.1,H=0.2,Unit=normalized},Name=Grace Hopper & <co> "Žofie",Type=Face},
{Area={X=0.5,Y=0.5,W=0.1,H=0.1,Unit=normalized},Type=Focus}]}'
rm -f exiftool.xmp exiftool-compact.xmp
exiftool -q -charset UTF8 -Title='kept' -RegionInfo="$info" exiftool.xmp
exiftool -q -charset UTF8 -api Compact=Shorthand -Title='kept' -RegionInfo="$info" exiftool-compact.xmp
for name in ours added; do
    exiftool -charset UTF8 -struct -json -RegionInfo -Title "$name.xmp" >"$name.json"
done
