#!/bin/sh
# Line and branch coverage of the C tests: build/cover/index.html, a table of the files whose branches
# were promised, and a failure where a promise is not kept. What an ASSERT would do is not counted:
# no test can take that branch and live.
set -eu
failed=0
for test in build/cover/unit/*_test; do
  [ -x "$test" ] || continue
  "$test" >"$test.log" 2>&1 || { echo "$(basename "$test") failed; see $test.log"; failed=1; }
done
gcovr --root . --object-directory build/cover --filter 'runtime/' --filter 'bindings/' \
  --exclude-throw-branches --exclude-branches-by-pattern '.*\bASSERT\(.*' \
  --html-details build/cover/index.html --csv build/cover/cover.csv --print-summary \
  build/cover/obj | tail -n 3
echo "build/cover/index.html"

# name,lines,lines covered,share,branches,branches covered,...: per file, then per promise.
awk -F, '
  function row(name, taken, all) {
    printf "  %-32s %5d of %5d branches  %5.1f %%\n", name, taken, all, all ? 100 * taken / all : 100
  }
  function promise(name, taken, all, percent) {
    kept = all > 0 && 100 * taken >= percent * all
    printf "%s  %-32s %5.1f %% of its branches, promised: %d %%\n", kept ? "ok    " : "FAILED", name,
           all ? 100 * taken / all : 0, percent
    broken += !kept
  }
  $1 == "runtime/domain/order.c" { row($1, $6, $5); order = $5; order_taken = $6 }
  $1 ~ /^runtime\/ledger\// { row($1, $6, $5); ledger += $5; ledger_taken += $6 }
  $1 ~ /^runtime\/engine\/(doubt|exits|held|pairs|reconcile|reports|strangers)\.c$/ { row($1, $6, $5) }
  $1 ~ /^runtime\/risk\/[a-z]+\.c$/ { row($1, $6, $5); risk += $5; risk_taken += $6 }
  $1 ~ /^runtime\/engine\/(exposure|gate|guards|halts|operator|portfolio_risk)\.c$/ ||
  $1 ~ /^runtime\/engine\/(rollout_watch|scopes|sessions|stops)\.c$/ {
    row($1, $6, $5); risk += $5; risk_taken += $6
  }
  $1 ~ /^runtime\/domain\/calendar\.c$/ { row($1, $6, $5); risk += $5; risk_taken += $6 }
  $1 ~ /^runtime\/operate\/(control|latch|sentinel)\.c$/ { row($1, $6, $5) }
  $1 ~ /^runtime\/app\/(control|control_offline|control_view|emergency|setup_risk)\.c$/ { row($1, $6, $5) }
  $1 == "runtime/engine/reconcile.c" { reconcile = $5; reconcile_taken = $6 }
  END {
    promise("runtime/domain/order.c", order_taken, order, 100)
    promise("runtime/ledger", ledger_taken, ledger, 95)
    promise("runtime/engine/reconcile.c", reconcile_taken, reconcile, 95)
    promise("risk: risk, engine, calendar", risk_taken, risk, 100)
    exit broken > 0
  }' build/cover/cover.csv || failed=1
exit "$failed"
