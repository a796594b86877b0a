#!/bin/sh
# run.sh - every fuzzer for SECONDS: sh tests/fuzz/run.sh [SECONDS]
#
# tests/fuzz/NAME_fuzz.c is built with clang, libFuzzer and the sanitizers into build/fuzz/. It starts
# from tests/fuzz/seeds/NAME/ and what earlier runs found (build/fuzz/corpus/NAME/). A finding stops
# that fuzzer, prints the end of its log and the file that reproduces it, and makes the exit code 1.
set -u
cd "$(dirname "$0")/../.." || exit 1
seconds=${1:-60}
out=build/fuzz
flags="-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all"
mkdir -p $out

# The objects count branches for libFuzzer but bring no main; the linker takes those a fuzzer needs.
if ! make --no-print-directory -j"$(nproc)" B=$out CC=clang \
    CFLAGS="$flags -fsanitize=fuzzer-no-link" $out/libruntime.a >$out/build.log 2>&1; then
    tail -n 20 $out/build.log
    exit 1
fi
libraries="$(pkg-config --cflags --libs libcrypto yaml-0.1 sqlite3 libuv yajl libarchive) \
    $(pkg-config --cflags lua5.4) $(pkg-config --variable=libdir lua5.4)/liblua5.4.a -lm -ldl -pthread"

failed=0
for source in tests/fuzz/*_fuzz.c; do
    name=$(basename "$source" _fuzz.c)
    binary=$out/${name}_fuzz
    log=$out/$name.log
    corpus=$out/corpus/$name
    mkdir -p "$corpus" $out/findings
    # shellcheck disable=SC2086 # flags and libraries are lists
    if ! clang -std=c11 -D_GNU_SOURCE -I. $flags -fsanitize=fuzzer -o "$binary" "$source" \
        $out/libruntime.a $libraries >"$log" 2>&1; then
        tail -n 20 "$log"
        echo "$name: does not build"
        failed=1
        continue
    fi
    seeds=tests/fuzz/seeds/$name
    [ -d "$seeds" ] || seeds=
    # shellcheck disable=SC2086
    if "$binary" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=8192 \
        -artifact_prefix="$out/findings/$name-" -print_final_stats=1 "$corpus" $seeds \
        >"$log" 2>&1; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
        echo "$name: $runs inputs in $seconds s, no finding"
    else
        tail -n 40 "$log"
        echo "$name: FOUND $(sed -n 's/.*Test unit written to //p' "$log" | head -n 1)"
        failed=1
    fi
done
exit $failed
