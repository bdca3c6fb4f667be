#!/usr/bin/env bash
# The figures of docs/benchmarks.md on LFW: accuracy of the tutorial's test, memory, and resuming after SIGKILL.
#
# Usage: tools/measure/pipeline.sh STEP [LFW_IMAGES] [OUT]
#   STEP  accuracy | tutorial | memory | resume
# Needs target/release/bledsoe; `tutorial` also needs `bledsoe models pull landmarks68`, `memory` needs GNU time.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
bledsoe=$root/target/release/bledsoe
step=${1:?step}
images=${2:-$root/../shared/datasets/lfw/images}
out=${3:-$root/target/measure}
mkdir -p "$out"

# Exit code 1 says that some photos gave no face; they are counted in the JSON.
run() { "$@" || [ $? -eq 1 ]; }

train_and_test() { # NAME INPUT TRAIN_FLAGS...
    local name=$1 input=$2
    shift 2
    run "$bledsoe" train "$input" --out "$out/$name.bledsoe" --epochs 25 --min-images 10 --split 0.7 --seed 0 --json "$@" \
        > "$out/$name.train.json"
    run "$bledsoe" evaluate "$input" --model "$out/$name.bledsoe" --json > "$out/$name.evaluate.json"
    python3 -c "import json,sys; e=json.load(open(sys.argv[1])); print(sys.argv[2], e['accuracy'], e['correct'], e['total'], len(e['skipped']), 'skipped')" \
        "$out/$name.evaluate.json" "$name"
}

case $step in
accuracy)
    for embedder in mobilefacenet facenet; do
        template=$([ $embedder = facenet ] && echo facenet || echo arcface)
        run "$bledsoe" align "$images" "$out/chips-$embedder" --template $template > /dev/null
        train_and_test $embedder "$out/chips-$embedder" --embedder $embedder
    done
    ;;
tutorial)
    run "$bledsoe" align "$images" "$out/chips-tutorial" --size 180 --template eyes-lip --detector hog --select largest > /dev/null
    train_and_test tutorial "$out/chips-tutorial" --embedder facenet
    ;;
memory)
    mkdir -p "$out/lfw-2000"
    find -L "$images" -name '*.jpg' | sort | head -n 2000 | while read -r photo; do
        person=$(basename "$(dirname "$photo")")
        mkdir -p "$out/lfw-2000/$person"
        ln -sf "$photo" "$out/lfw-2000/$person/"
    done
    for input in "$out/lfw-2000" "$images"; do
        for engine in native ort rten; do
            /usr/bin/time -f "$(basename "$input") $engine: %M KiB peak, %e s" \
                "$bledsoe" embed "$input" --out "$out/memory.parquet" --engine $engine > /dev/null 2> "$out/memory.log" || [ $? -eq 1 ]
            tail -n 1 "$out/memory.log"
        done
    done
    ;;
resume)
    embed() { run "$bledsoe" embed "$images" --out "$out/$1.parquet" "${@:2}" > /dev/null 2>&1; }
    start=$(date +%s)
    embed undisturbed
    whole=$(($(date +%s) - start))
    for round in 1 2 3 4 5; do
        "$bledsoe" embed "$images" --out "$out/killed.parquet" > /dev/null 2>&1 &
        pid=$!
        sleep $((RANDOM % whole))
        kill -KILL $pid
        wait $pid 2> /dev/null || true
        embed killed --resume
        cmp "$out/undisturbed.parquet" "$out/killed.parquet" && echo "killed and resumed, round $round: the same bytes"
    done
    ;;
*)
    echo "unknown step $step" >&2
    exit 2
    ;;
esac
