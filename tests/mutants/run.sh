#!/bin/sh
# Seeded bugs: each patch here breaks the runtime in one place, and something must notice. The first
# line of a patch says what: "# found by: simulate", "# found by: scenario" or "# found by: unit NAME";
# more lines say what the bug is. A seed or a conversation that fails without the bug too proves
# nothing and does not count.
#
#   tests/mutants/run.sh                          all, up to 2,000 seeds each
#   ONLY=3-12 SEEDS=200 tests/mutants/run.sh      these numbers
#   ROTATE=5 COUNT=10 tests/mutants/run.sh        10 of them, others for each ROTATE: a day, a count of
#                                                 commits
#   tests/mutants/run.sh --check                  only whether all patches apply
#
# Works in build/mutants/tree, a copy of this tree, which keeps its objects. Needs build/simulate and
# build/scenario of the tree without bugs. Exit 1: one survived, or a patch does not apply.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root"
tree=build/mutants/tree
logs=$root/build/mutants/logs
seeds=${SEEDS:-2000}
jobs=${JOBS:-$(nproc)}
chunk=$((25 * jobs))
B=${B:-build}

check() {
  bad=0
  for patch in tests/mutants/*.patch; do
    git apply --check "$patch" 2>"build/mutants.check" || { cat build/mutants.check >&2; bad=1; }
    head -n 1 "$patch" | grep -qE '^# found by: (simulate|scenario|unit [a-z_]+)$' ||
      { echo "$patch: its first line must be '# found by: simulate | scenario | unit NAME'" >&2; bad=1; }
  done
  rm -f build/mutants.check
  return $bad
}

# The numbers to run, one a line.
chosen() {
  printf '%s\n' tests/mutants/*.patch | sed 's|.*/0*\([0-9]*\)-.*|\1|' | {
    if [ -n "${ONLY:-}" ]; then
      awk -v from="${ONLY%-*}" -v to="${ONLY#*-}" '$1 >= from && $1 <= to'
    elif [ -n "${ROTATE:-}" ]; then
      awk -v k="$ROTATE" -v count="${COUNT:-10}" '{ n[NR] = $1 }
        END { for (i = 0; i < count && i < NR; i++) print n[(k * count + i) % NR + 1] }'
    else
      cat
    fi
  }
}

# Only what differs is copied, so that what is built stays built.
copy_tree() {
  mkdir -p "$tree" "$logs"
  git ls-files --cached --others --exclude-standard | while read -r file; do
    if [ -f "$file" ] && ! cmp -s "$file" "$tree/$file"; then
      mkdir -p "$tree/$(dirname "$file")"
      cp "$file" "$tree/$file"
    fi
  done
}

build() { # TARGET
  make -s -C "$tree" B=build CC="${CC:-cc}" "$1" >"$logs/build.log" 2>&1
}

# Seeds that failed in a log.
failed_seeds() { sed -n 's/^seed \([0-9]*\):.*/\1/p' "$1"; }

# Prints where the simulator found it; nothing when it did not.
by_simulate() {
  from=1
  while [ "$from" -le "$seeds" ]; do
    to=$((from + chunk - 1))
    [ "$to" -gt "$seeds" ] && to=$seeds
    code=0
    timeout 600 "$tree/build/simulate" --seeds "$from-$to" --jobs "$jobs" >"$logs/run.log" 2>&1 || code=$?
    for seed in $(failed_seeds "$logs/run.log" | sort -n); do
      if timeout 60 "$B/simulate" --seed "$seed" >/dev/null 2>&1; then
        said=$(sed -n "s/^seed $seed: \(.*\) ; .*/\1/p" "$logs/run.log" | head -n 1 | cut -c 1-60)
        echo "seed $seed: $said"
        return
      fi
    done
    if [ "$code" -eq 124 ]; then
      echo "seeds $from-$to: it never ends"
      return
    fi
    from=$((to + 1))
  done
}

failed_scenarios() { # PLAYER
  timeout 300 "$1" tests/scenarios/*.json 2>&1 | sed -n 's/^FAIL \([A-Z0-9-]*\).*/\1/p' | sort
}

by_scenario() {
  [ -f "$logs/scenarios.clean" ] || failed_scenarios "$B/scenario" >"$logs/scenarios.clean"
  failed_scenarios "$tree/build/scenario" >"$logs/scenarios"
  comm -13 "$logs/scenarios.clean" "$logs/scenarios" | head -n 1
}

by_unit() { # NAME
  if ! (cd "$tree" && timeout 300 "build/unit/$1_test") >"$logs/run.log" 2>&1; then
    said=$(sed -n 's/^\[  FAILED  \] \([a-z_0-9]*\)$/\1/p' "$logs/run.log" | head -n 1)
    echo "unit $1: ${said:-it ends}"
  fi
}

target() { # BY NAME
  case $1 in
  unit) echo "build/unit/$2_test" ;;
  *) echo "build/$1" ;;
  esac
}

one() { # PATCH
  name=$(basename "$1" .patch)
  by=$(sed -n '1s/^# found by: \([a-z]*\).*/\1/p' "$1")
  unit=$(sed -n '1s/^# found by: unit //p' "$1")
  began=$(date +%s)
  git apply --directory="$tree" "$1" || { echo "$name: does not apply"; return 1; }
  found=""
  if build "$(target "$by" "$unit")"; then
    found=$("by_$by" "$unit")
  else
    echo "$name: does not build; see $logs/build.log" >&2
  fi
  git apply -R --directory="$tree" "$1"
  took=$(($(date +%s) - began))
  if [ -n "$found" ]; then
    printf '%-46s found in %3d s by %s\n' "$name" "$took" "$found"
  else
    printf '%-46s SURVIVED %d s\n' "$name" "$took"
    return 1
  fi
}

mkdir -p build
check
[ "${1:-}" = "--check" ] && exit 0
copy_tree
rm -f "$logs/scenarios.clean"
survived=0
total=0
for number in $(chosen); do
  total=$((total + 1))
  for patch in tests/mutants/"$(printf '%02d' "$number")"-*.patch; do
    one "$patch" || survived=$((survived + 1))
  done
done
echo "$total mutants, $survived survived"
[ "$survived" -eq 0 ]
