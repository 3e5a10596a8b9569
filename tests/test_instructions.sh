#!/bin/bash
# test_instructions.sh: instructions per operation, counted by callgrind over the rows of holdfast-micro, each held to its bound: a figure
# that is the same on a busy machine and an idle one. The bounds hold for the plain build (gcc -O2) and lie about 10 % above what was
# counted; who makes a row cheaper lowers its bound. A row says what it counted, so that the log of a change needs no second run.
# The operation's share of the benchmark's own work (texts of ids, random numbers: some 150) is inside.
set -uo pipefail
cd "$(dirname "$0")/.."
bin=${HOLDFAST_BIN:-build}
passed=0 failed=0
work=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-instructions.XXXXXX")
trap 'rm -rf "$work"' EXIT

verdict() { # NAME REMARK CONDITION...
	local name=$1 remark=$2
	shift 2
	if "$@"; then
		echo "ok $name ($remark)"
		passed=$((passed + 1))
	else
		echo "FAIL $name ($remark)"
		failed=$((failed + 1))
	fi
}

# counted ROW N: instructions of one operation; empty: the row did not do its work.
counted() {
	local all
	TMPDIR=$work valgrind --tool=callgrind --callgrind-out-file=/dev/null --collect-atstart=no --toggle-collect=micro_run \
	    "$bin/holdfast-micro" "$1" "$2" 5000 >"$work/log" 2>&1 || return
	all=$(sed -n 's/.*Collected : \([0-9]*\).*/\1/p' "$work/log")
	echo $((all / $2))
}

if ! command -v valgrind >/dev/null; then
	echo "FAIL instructions: valgrind is missing; install it with: .ci/packages --tests"
	echo "0 passed, 1 failed"
	exit 1
fi
while read -r row n bound; do
	count=$(counted "$row" "$n")
	verdict "${row}_stays_within_its_instructions" "${count:-none} of $bound" [ "${count:-$((bound + 1))}" -le "$bound" ]
	[[ -n $count ]] || tail -5 "$work/log"
done <<'END'
	reserve        10000  1580
	reserve_ahead  10000  1820
	sale           10000  1830
	ats            10000   465
	index          10000   193
	ats_many       10000   460
	scan           10000   310
	decode         10000   680
	encode         10000   570
	frame          10000  3320
	append           200 56000
	hop            10000   225
END
echo "$passed passed, $failed failed"
((failed == 0))
