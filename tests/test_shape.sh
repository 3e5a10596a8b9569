#!/bin/bash
# test_shape.sh: the shape of the code, for the suite: the two checkers, each shown to see what it looks for in a spoiled copy.
set -uo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-shape.XXXXXX")
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

count() { # LOG
	local line
	line=$(tail -1 "$1")
	passed=$((passed + ${line%% *}))
	line=${line##*, }
	failed=$((failed + ${line%% *}))
	grep -vE '^[0-9]+ passed, ' "$1"
}

tests/include_directions.sh >"$work/log" 2>&1
count "$work/log"
tests/core_is_pure.sh >"$work/log" 2>&1
count "$work/log"

# A copy where core reads the clock of net, asks for memory and prints: each rule that is broken must be named.
cp -r core persist net cmd include tests "$work/"
cat >>"$work/core/base.c" <<'END'
#include "net/clock.h"
#include <stdlib.h>
void *spoiled(void);
void *spoiled(void) { return malloc(1); }
END
echo '#include <lmdb.h>' >>"$work/net/methods.c"
echo 'static void spoiled(void) { rename("a", "b"); }' >>"$work/persist/log.h"
"$work/tests/include_directions.sh" "$work" >"$work/log" 2>&1
for rule in core_includes_only_what_is_below_it core_includes_no_system_but_freestanding_headers lmdb_is_only_in_the_image \
    file_calls_are_only_in_disk_posix; do
	if grep -q "^FAIL $rule" "$work/log"; then
		echo "ok a_spoiled_copy_is_seen ($rule)"
		passed=$((passed + 1))
	else
		echo "FAIL a_spoiled_copy_is_seen ($rule)"
		failed=$((failed + 1))
	fi
done
if (cd "$work" && tests/core_is_pure.sh) >"$work/log" 2>&1 || ! grep -q 'it wants malloc' "$work/log"; then
	echo "FAIL a_core_that_asks_for_memory_is_seen"
	failed=$((failed + 1))
else
	echo "ok a_core_that_asks_for_memory_is_seen"
	passed=$((passed + 1))
fi
echo "$passed passed, $failed failed"
((failed == 0))
