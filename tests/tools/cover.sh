#!/bin/sh
# Line and branch coverage of the C tests, by room: build/cover/index.html and a table.
set -eu
for test in build/cover/unit/*_test; do
  [ -x "$test" ] || continue
  "$test" >"$test.log" 2>&1 || echo "$(basename "$test") failed; see $test.log"
done
gcovr --root . --object-directory build/cover --filter 'runtime/' --filter 'bindings/' \
  --exclude-throw-branches --html-details build/cover/index.html --print-summary \
  build/cover/obj | tail -n 12
echo "build/cover/index.html"
