#!/bin/bash
# core_is_pure.sh: the core asks the world for nothing. Its objects, linked into one, may leave nothing undefined but memory
# functions, the compiler's own helpers and the assertion hook.
#
#   tests/core_is_pure.sh               compiles core/ at -O0 and -O2 (CC, or gcc) in a temporary folder and looks
#   tests/core_is_pure.sh FILE.a|.o...  looks at objects that are there already; sanitizers' symbols are ignored
set -euo pipefail
cd "$(dirname "$0")/.."
allowed='^(memcpy|memset|memmove|memcmp|bcmp|ensure_failed|_GLOBAL_OFFSET_TABLE_|__(u?div|u?mod|mul|ash[lr]|lshr|popcount|clz|ctz|bswap|ffs)[a-z0-9]*)$'
sanitizers='^(__(asan|ubsan|tsan|sanitizer|lsan)_|_?_?sanitizer)'
work=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-pure.XXXXXX")
trap 'rm -rf "$work"' EXIT
passed=0 failed=0

# look NAME OBJECT...: one linked object, its undefined symbols.
look() {
	local name=$1 strangers
	shift
	ld -r --gc-sections --gc-keep-exported -o "$work/linked.o" --whole-archive "$@"
	# -O0 leaves the names of unused static functions' callees behind: only what some code still refers to counts.
	objdump -r "$work/linked.o" | awk '/^[0-9a-f]/ { sub(/[-+]0x[0-9a-f]*$/, "", $3); print $3 }' | sort -u >"$work/used"
	strangers=$(nm -u "$work/linked.o" | awk '{ print $NF }' | sort -u | comm -12 - "$work/used" | grep -vE "$allowed" |
	    grep -vE "$sanitizers" || true)
	if [[ -z $strangers ]]; then
		echo "ok core_asks_the_world_for_nothing ($name)"
		passed=$((passed + 1))
	else
		echo "FAIL core_asks_the_world_for_nothing ($name): it wants" $strangers
		failed=$((failed + 1))
	fi
}

compile() { # LEVEL
	mkdir "$work/$1"
	printf '%s\n' core/*.c | xargs -P 2 -I{} sh -c \
	    "${CC:-gcc} -std=gnu11 $1 -ffunction-sections -msse4.2 -w -I. -Iinclude -c {} -o $work/$1/\$(basename {} .c).o"
}

if (($#)); then
	look "$*" "$@"
else
	for level in -O0 -O2; do
		compile "$level"
		look "${CC:-gcc} $level" "$work/$level"/*.o
	done
fi
echo "$passed passed, $failed failed"
((failed == 0))
