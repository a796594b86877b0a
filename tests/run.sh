#!/bin/sh
# Runs the tests and adds them up:
#   tests/run.sh all | smoke | unit | scenarios | simulation | strategies | e2e | tidy | worlds
# The last line is "N passed, N failed". Output of a suite is shown when something in it failed.
set -u
what=${1:-all}
logs=build/test-logs
mkdir -p "$logs"
passed=0
failed=0

# suite NAME LOG: counts TAP lines of a log.
count() {
  # cmocka spells a skipped test "not ok N # SKIP"; it is neither.
  ok=$(grep '^ok ' "$2" | grep -vc '# SKIP')
  bad=$(grep '^not ok ' "$2" | grep -vc '# SKIP')
  # A runner that died before it said anything is a failure too.
  if [ "$3" -ne 0 ] && [ "$bad" -eq 0 ]; then bad=1; fi
  passed=$((passed + ok))
  failed=$((failed + bad))
  skipped=$(grep -c '# SKIP' "$2")
  note=""
  [ "$skipped" -gt 0 ] && note=" ($skipped skipped)"
  if [ "$bad" -eq 0 ]; then
    printf '  %-28s %4d ok%s\n' "$1" "$ok" "$note"
    return
  fi
  printf '  %-28s %4d ok, %d FAILED\n' "$1" "$ok" "$bad"
  cat "$2"
}

run_unit() {
  for test in ${1:-build/asan/unit/*_test}; do
    [ -x "$test" ] || continue
    name=$(basename "$test")
    CMOCKA_MESSAGE_OUTPUT=TAP "$test" >"$logs/$name.log" 2>&1
    count "$name" "$logs/$name.log" $?
  done
}

# run_busted NAME PATH...
run_busted() {
  name=$1
  shift
  LC_ALL=C busted -o TAP "$@" >"$logs/$name.log" 2>&1
  count "$name" "$logs/$name.log" $?
}

# play_scenarios NAME FILE.json...: a line of the player is "ok ID" or "FAIL ID ...".
play_scenarios() {
  name=$1
  shift
  if [ ! -e "$1" ]; then
    echo "ok 1 - $1 # SKIP there are none here" >"$logs/$name.log"
    count "$name" "$logs/$name.log" 0
    return
  fi
  build/asan/scenario --permute 2 "$@" >"$logs/$name.log" 2>&1
  code=$?
  sed -i 's/^FAIL /not ok /' "$logs/$name.log"
  [ "$code" -gt 1 ] && echo "not ok the player itself" >>"$logs/$name.log"
  count "$name" "$logs/$name.log" "$code"
}

# Conversations with a wrong end: the player must refuse each.
refuse_scenarios() {
  name=wrong_scenarios
  build/asan/scenario tests/scenario/wrong/*.json >"$logs/$name.log" 2>&1
  sed -i -e 's/^ok /not ok accepted /' -e 's/^FAIL /ok /' "$logs/$name.log"
  count "$name" "$logs/$name.log" 0
}

run_scenarios() {
  refuse_scenarios
  play_scenarios scenarios tests/scenarios/*.json
  play_scenarios shared_scenarios ../shared/scenarios/*.json
}

# simulate NAME COMMAND...: one test each; what failed is shown with the seed that repeats it.
simulate() {
  name=$1
  shift
  "$@" >"$logs/$name.log" 2>&1
  code=$?
  if [ "$code" -eq 0 ]; then echo "ok 1 - $name" >>"$logs/$name.log"; else echo "not ok 1 - $name" >>"$logs/$name.log"; fi
  count "$name" "$logs/$name.log" "$code"
}

run_simulation() {
  simulate worlds_sanitized build/asan/simulate --seeds 1-40 --jobs 2
  simulate worlds_twice build/simulate --seeds 41-60 --twice --jobs 2
}

# The long ones, for continuous integration and for whoever changes an order's way.
run_worlds() {
  simulate worlds build/simulate --seeds 1-"${SEEDS:-2000}" --jobs "$(nproc)" --reach
  tail -n 2 "$logs/worlds.log" | head -n 1
  simulate crash_points build/simulate --crash-points 7 --jobs "$(nproc)"
  tail -n 2 "$logs/crash_points.log" | head -n 1
}

run_strategies() {
  for spec in tests/strategies/*_spec.lua; do
    [ -e "$spec" ] && run_busted "$(basename "$spec" .lua)" "$spec"
  done
}

run_e2e() {
  for spec in tests/e2e/*_spec.lua; do
    [ -e "$spec" ] && RUNTIME_BIN=${RUNTIME_BIN:-build/asan/runtime} run_busted "$(basename "$spec" .lua)" "$spec"
  done
}

case $what in
smoke)
  RUNTIME_BIN=build/runtime run_busted smoke_spec tests/e2e/smoke_spec.lua
  ;;
unit) run_unit ;;
scenarios) run_scenarios ;;
simulation) run_simulation ;;
worlds) run_worlds ;;
strategies) run_strategies ;;
e2e) run_e2e ;;
tidy) run_busted tidy_spec tests/tidy_spec.lua ;;
all)
  run_unit
  run_scenarios
  run_simulation
  run_busted tidy_spec tests/tidy_spec.lua
  run_strategies
  run_e2e
  ;;
*)
  echo "tests/run.sh: '$what' is not a suite; allowed are all, smoke, unit, scenarios, simulation, worlds, strategies, e2e, tidy" >&2
  exit 64
  ;;
esac
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
