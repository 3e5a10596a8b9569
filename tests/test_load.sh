#!/bin/bash
# test_load.sh: the load command does each of its works against a live server, and the tables of peers.sh say what the results say.
set -uo pipefail
cd "$(dirname "$0")/.."
build=${HOLDFAST_BIN:-build}
work=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-load.XXXXXX")
server= passed=0 failed=0
finish() {
	[[ -z $server ]] || { kill -KILL "$server"; wait "$server"; } 2>/dev/null
	rm -rf "$work"
}
trap finish EXIT

# verdict NAME CONDITION...
verdict() {
	local name=$1
	shift
	if "$@"; then
		echo "ok $name"
		passed=$((passed + 1))
	else
		echo "FAIL $name"
		failed=$((failed + 1))
	fi
}

"$build/holdfastd" --data "$work/data" --listen 127.0.0.1:0 --push off --feed off --http off --port-file "$work/ports" --queue-age-ms 0 \
	--cells-max 20000 --skus-max 20000 --reservations-max 2000000 2>"$work/log" &
server=$!
for _ in {1..1500}; do [[ -e $work/ports ]] && break; sleep 0.02; done
port=$(sed -n 's/^rpc=//p' "$work/ports") events=$(sed -n 's/^events=//p' "$work/ports")

# Something was granted, nothing was refused. A machine with much else to do gets more time for it.
loads() {
	local rate p50 p99 refused seconds
	for seconds in 0.1 1 10; do
		read -r rate p50 p99 refused < <("$build/holdfast-load" --server "127.0.0.1:$port" --connections 3 --cells 200 --warm 0 --seconds "$seconds" --brief "$@" 2>&1)
		[[ $rate == 0 ]] || break
	done
	[[ $rate =~ ^[1-9][0-9]*$ && $refused == 0 ]] || { echo "     $* gave: $rate $p50 $p99 $refused"; return 1; }
}
verdict it_reads_one_cell loads --in-flight 4 --read 1
verdict it_reads_100_cells loads --in-flight 4 --read 100
verdict it_reserves loads --in-flight 4
verdict it_reserves_one_hot_sku loads --in-flight 4 --hot
seq() { "$build/holdfast" --server "127.0.0.1:$port" status --json | grep -oE '"seq": ?[0-9]+' | grep -oE '[0-9]+'; }
# Of events nothing is prepared, and a client that lied would count answers: so the server is asked what it has.
posts() {
	local before after
	before=$(seq)
	loads --gate "127.0.0.1:$events" --in-flight 4 --events 100 || return 1
	after=$(seq)
	((after - before >= 100)) || { echo "     position $before, then $after"; return 1; }
}
verdict it_posts_events_through_the_gate posts
notices() { ! loads --in-flight 4 "$@" >/dev/null; }
verdict a_read_of_another_stock_than_it_put_there_is_seen notices --read 1 --hot
refuses() { ! "$build/holdfast-load" --server "127.0.0.1:$port" "$@" >/dev/null 2>&1; }
verdict more_cells_than_a_read_may_have_are_refused refuses --read 101
verdict a_peer_is_not_asked_for_what_is_not_written refuses --postgres 127.0.0.1:1 --read 1

# The tables, of results that are known.
cat >"$work/results" <<-'END'
	1 u1 holdfast 60000 0.8 2.0 0
	1 u1 redis_always 20000 2.0 3.0 0
	2 u1 holdfast 50000 0.9 2.1 7
	2 u1 redis_always 10000 2.2 3.1 0
	3 u1 holdfast 61000 0.7 1.9 0
	3 u1 redis_always 18000 2.1 3.2 0
	1 h1 holdfast 53000 0.8 2.0 0
	1 r100 holdfast 20000 0.8 2.0 0
	1 r100 redis_none 10000 0.8 2.0 0
END
cat >"$work/limits" <<-'END'
	1 sync_4k 90.0 us a sync
	1 loopback 10.0 us a round trip
	1 decode 100.0 ns ours
	2 decode 120.0 ns ours
	1 objects_decode 220.0 ns theirs
END
report() { awk "$@" -f bench/peers_report.awk bench/peers_rows.txt "$work/results" "$work/limits"; }
report >"$work/tables"
says() { grep -qF -- "$1" "$work/tables" || { cat "$work/tables"; return 1; }; }
verdict a_ratio_is_the_median_of_the_rounds_ratios says '| **3.39** | 3.00 to 5.00 | 3 | 4 | yes |'
verdict a_rate_is_the_median_of_the_rounds says '| Holdfast | 60,000 | 50,000 to 61,000 | 0.80 | 2.00 | 0 |'
verdict a_row_may_be_compared_with_another_row says '| Holdfast, reserve, 50 x 1 in flight | **0.88** | 0.88 to 0.88 | 0.9 |  | **no** |'
verdict a_read_of_100_counts_cells says '| Redis, no log | 1,000,000 |'
verdict limits_are_shown_and_compared_with says '| reserve, 50 x 1 in flight, p50 | 800 us | 100 us: one sync and one round trip, nobody else there | 8.0 x |'
verdict what_holdfast_costs_is_the_median_of_the_rounds says '| decode a request | 110 ns | 220 ns: theirs | 0.5 x |'
# The chart's columns: what was not measured is a question mark.
verdict the_chart_gets_a_column_for_each_server grep -qP '^reserve, 50 x 1 in flight\t\?\t\?\t18000\t\?\t60000$' <(report -v want_only=chart)
verdict a_limit_is_measured grep -qE '^objects_decode [0-9]+\.[0-9] ns ' <("$build/holdfast-limits" "$work" objects_decode)

echo "$passed passed, $failed failed"
((failed == 0))
