#!/bin/bash
# peers.sh [--rounds N] [--seconds S] [--rows "NAME ..."] [--build FOLDER] [--into FOLDER]: Holdfast beside Redis, PostgreSQL and Tarantool,
# in turn, by the same client (bench/METHOD.md says how and why). The rows are those of peers_rows.txt.
# Writes its section of bench/RESULTS.md, its table in README.md, and the chart bench/peers.svg; with --into FOLDER all that goes there instead.
# Ctrl-C ends the server and the client that run, removes their folder, and writes nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
build=build rounds=3 seconds=4 cells=10000 only= into=
while [[ $# -gt 0 ]]; do
	case $1 in
	--build | --rounds | --seconds | --into) declare "${1#--}=${2:?}" ;;
	--rows) only=${2:?} ;;
	*) sed -n 's/^# //; 2,5p' "$0" >&2; exit 2 ;;
	esac
	shift 2
done
.ci/packages redis-server postgresql-15 tarantool gnuplot-nox

work=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-peers.XXXXXX")
chmod 711 "$work" # PostgreSQL's user has to get to its folder
client=
. bench/peers_servers.sh
finish() {
	[[ -z $client ]] || { kill -KILL "$client"; wait "$client"; } 2>/dev/null || true
	stop
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

# measured COMMAND...: its only line of output, in $figures. In the background, so that a signal is heard at once.
measured() {
	"$@" >"$work/figures" 2>"$work/complaint" </dev/null &
	client=$!
	wait "$client" || { client=; head -5 "$work/complaint" >&2; tail -5 "$work/log" >&2; return 1; }
	client=
	figures=$(<"$work/figures")
}

trim() { sed -E 's/^ +//; s/ +$//' <<<"$1"; }

# The peers' own clients, where they can do the same work: is ours as cheap? Their rate, in $figures; no percentiles.
run_redis_tool() { # redis-benchmark counts requests, not seconds, so a short run says how many there shall be; its keys are its own
	local requests=$((cells * 50))
	redis-benchmark -p "$port" -t set -c 50 -P 128 -r "$cells" -d 10 -n "$requests" -q >"$work/complaint" 2>&1 </dev/null
	for _ in short long; do
		measured redis-benchmark -p "$port" -t get -c 50 -P 128 -r "$cells" -n "$requests" --csv || return
		figures=$(awk -F '[",]+' '$2 == "GET" { printf "%.0f", $3 }' <<<"$figures")
		requests=$(awk -v rate="$figures" -v s="$seconds" 'BEGIN { printf "%d", rate * s + 100000 }')
	done
	figures+=" 0 0 0"
}
run_postgres_tool() {
	measured "$build/holdfast-load" --postgres "127.0.0.1:$port" --seconds 0.1 --in-flight 1 --brief || return # makes the tables
	measured "$postgres_bin/pgbench" -h 127.0.0.1 -p "$port" -U holdfast -n -M prepared -c 50 -j 1 -T "$(awk -v s="$seconds" 'BEGIN { printf "%d", s + 1.999 }')" \
		-f bench/postgres_reserve.pgbench postgres || return
	figures="$(sed -n 's/^tps = \([0-9]*\).*/\1/p' "$work/figures") 0 0 0"
}

# once ROW KIND ARGUMENTS...: a fresh server on a fresh folder, one load.
once() {
	local kind=$2 speaks=${2%%_*}
	shift 2
	room=4000000 # its default; a full pipeline wants more
	[[ "$*" != *"--in-flight 128"* ]] || room=20000000
	[[ "$*" != *--events* ]] || speaks=gate
	start "$kind" || return
	if [[ $kind == *_tool ]]; then
		"run_$kind"
	else
		measured "$build/holdfast-load" "--$speaks" "127.0.0.1:$port" --connections 50 "$@" --cells "$cells" --seconds "$seconds" --brief
	fi && [[ $figures == [0-9]* ]]
}

# run ROW KIND ARGUMENTS...: a line of results: round, row, kind, rate, p50, p99, refused. Whatever fails is tried once more; what fails again
# is told on the page, and the others go on.
run() {
	if once "$@" || { stop; once "$@"; }; then
		echo "$round $1 $2 $figures" >>"$work/results"
	else
		figures=FAILED
		echo "Not measured: $1 $2 in round $round." >>"$work/failures"
	fi
	stop
	done_n=$((done_n + 1))
	printf 'round %d of %d  %-6s %-16s %12s/s   (%d of %d runs)\n' "$round" "$rounds" "$1" "$2" "${figures%% *}" "$done_n" "$all_n" >&2
}

# run_micro ROW: the engine without a server; and what else holdfast-micro and holdfast-limits say of this machine, into limits.
run_micro() {
	local name ns unit rate rate_unit what
	measured "$build/holdfast-limits" "$work"
	sed "s/^/$round /" <<<"$figures" >>"$work/limits"
	for name in reserve_ahead scan decode encode; do
		measured "$build/holdfast-micro" "$name"
		read -r name ns unit rate rate_unit what <<<"$figures"
		echo "$round $name $ns $unit $what" >>"$work/limits"
		[[ $name != reserve_ahead ]] || echo "$round $1 micro $(awk -v ns="$ns" 'BEGIN { printf "%.0f", 1e9 / ns }') 0 0 0" >>"$work/results"
	done
	done_n=$((done_n + 1))
	printf 'round %d of %d  limits and engine   (%d of %d runs)\n' "$round" "$rounds" "$done_n" "$all_n" >&2
}

mapfile -t rows < <(grep -vE '^#|^$' bench/peers_rows.txt | while IFS='|' read -r name rest; do
	name=$(trim "$name")
	[[ -n $only && " $only " != *" $name "* ]] || echo "$name|$rest"
done)
all_n=0 done_n=0
for line in "${rows[@]}"; do set -- ${line##*|}; all_n=$((all_n + $# * rounds)); done

: >"$work/results" >"$work/limits" >"$work/failures"
begun=$(date '+%Y-%m-%d %H:%M')
for ((round = 1; round <= rounds; round++)); do
	for line in "${rows[@]}"; do
		IFS='|' read -r name _ arguments _ _ _ _ kinds <<<"$line"
		# Every other round the other way round, so that nobody always comes behind the same neighbour.
		((round % 2)) || kinds=$(tr ' ' '\n' <<<"$kinds" | tac | tr '\n' ' ')
		for kind in $kinds; do
			if [[ $kind == micro ]]; then run_micro "$name"; else run "$name" "$kind" $arguments; fi
		done
	done
done

machine="$(nproc) x $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), $(awk '/^MemTotal/ { printf "%.0f GB", $2 / 1048576 }' /proc/meminfo)"
{
	echo "Run of $begun: $rounds rounds of $seconds s each; medians."
	echo
	echo "Machine: $machine, Linux $(uname -r), $(findmnt -no FSTYPE -T "$work"); clients on the same processors."
	echo "Holdfast $(git describe --always --dirty 2>/dev/null || "$build/holdfastd" --version), $(redis-server --version | grep -oE 'v=[0-9.]+' | sed 's/v=/Redis /'), $("$postgres_bin/postgres" --version | sed 's/ (Debian.*//; s/postgres (PostgreSQL)/PostgreSQL/'), $(tarantool --version | head -1 | cut -d- -f1)."
	[[ ! -s $work/failures ]] || { echo; cat "$work/failures"; }
} >"$work/head"
report() { awk "$@" -f bench/peers_report.awk bench/peers_rows.txt "$work/results" "$work/limits"; }
report >"$work/tables"
report -v want_only=chart >"$work/chart.tsv"
gnuplot -e "folder = '$work'" bench/plot_peers.gnuplot >"$work/peers.svg" 2>"$work/complaint" # rows left out
{
	echo "![durable reserves, reads and events a second, by server](bench/peers.svg)"
	echo
	report -v want_only=short
	echo
	echo "(50 x 128: 50 connections with 128 requests in flight on each. Medians of $rounds rounds of $seconds s; $machine, the client on the same.)"
} >"$work/short"
cat "$work/head" "$work/tables"

# replace_section FILE NAME FROM: what stands between the two marks of that name becomes the file FROM.
replace_section() {
	awk -v begin="<!-- $2: begin -->" -v end="<!-- $2: end -->" -v from="$3" '
		$0 == end { skipping = 0 }
		!skipping { print }
		$0 == begin { skipping = 1; while ((getline line < from) > 0) print line }' "$1" >"$work/section" && cp "$work/section" "$1"
}
if [[ -n $into ]]; then
	mkdir -p "$into"
	cp "$work"/{results,limits,head,tables,short,chart.tsv,peers.svg} "$into"
else
	{ cat "$work/head"; echo; echo "![what each server did in a second](peers.svg)"; cat "$work/tables"; } >"$work/page"
	bench/results.sh peers "Beside peers" <"$work/page"
	replace_section README.md peers-short "$work/short"
	cp "$work/peers.svg" bench/peers.svg
	echo "written: bench/RESULTS.md, README.md, bench/peers.svg" >&2
fi
