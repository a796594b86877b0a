#!/bin/sh
# Formatting, warnings as errors in two compilers, static checks, Lua checks.
set -u
status=0
say() {
  printf 'lint: %s\n' "$1"
}

say "clang-format"
git ls-files '*.c' '*.h' | xargs clang-format --dry-run --Werror 2>build/lint-format.log || {
  head -n 20 build/lint-format.log
  say "run: make format"
  status=1
}

say "warnings are errors (gcc)"
make --no-print-directory -j2 B=build/lint-gcc CFLAGS="-O2" WERROR=-Werror build/lint-gcc/runtime >build/lint-gcc.log 2>&1 || {
  grep -E 'error|warning' build/lint-gcc.log | head -n 20
  status=1
}

say "warnings are errors (clang)"
make --no-print-directory -j2 B=build/lint-clang CC=clang CFLAGS="-O1" WERROR=-Werror build/lint-clang/runtime >build/lint-clang.log 2>&1 || {
  grep -E 'error|warning' build/lint-clang.log | head -n 20
  status=1
}

say "cppcheck"
cppcheck --quiet --std=c11 --language=c --enable=warning,portability --inline-suppr -I. \
  --suppress=missingIncludeSystem --suppress=normalCheckLevelMaxBranches --error-exitcode=1 -j2 \
  runtime bindings 2>build/lint-cppcheck.log || {
  head -n 20 build/lint-cppcheck.log
  status=1
}

say "luacheck"
luacheck --quiet strategies tests >build/lint-luacheck.log 2>&1 || {
  head -n 20 build/lint-luacheck.log
  status=1
}
for file in docs/api/*.lua; do
  [ -e "$file" ] && { luac5.4 -p "$file" || status=1; }
done

say "layers and banned calls"
sh tests/run.sh tidy >build/lint-tidy.log 2>&1 || {
  cat build/lint-tidy.log
  status=1
}

[ "$status" -eq 0 ] && say "clean"
exit "$status"
