#!/bin/bash
# peers.sh [BUILD]: durable reserves a second of Holdfast beside Redis, in turn, by the same client (bench/METHOD.md).
#   ROUNDS=3 SECONDS_EACH=10 CELLS=10000   more or less of it
set -euo pipefail
cd "$(dirname "$0")/.."
build=${1:-build}
rounds=${ROUNDS:-3} seconds=${SECONDS_EACH:-10} cells=${CELLS:-10000}
command -v redis-server >/dev/null || .ci/packages redis-server
work=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-peers.XXXXXX")
server=
finish() {
	[[ -z $server ]] || kill -KILL "$server" 2>/dev/null || true
	wait 2>/dev/null || true
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

# A port that nobody listens on now. Taken by somebody else in between, the start fails and says so.
free_port() {
	local port
	while :; do
		port=$((20000 + RANDOM % 20000))
		(exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
	done
}

# until_true WHAT COMMAND...: waits up to 30 s.
until_true() {
	local what=$1
	shift
	for _ in {1..1500}; do "$@" 2>/dev/null && return; sleep 0.02; done
	echo "peers: $what did not start; its log:" >&2
	tail -5 "$work/log" >&2
	exit 1
}
listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1"); }

stop_server() {
	kill "$server"
	wait "$server" || true
	server=
	rm -rf "$work/data"
}

# run SERVER IN_FLIGHT: a fresh server on a fresh folder, one load; appends "rate p50 p99 refused" to SERVER.IN_FLIGHT.
run() {
	local who=$1 in_flight=$2 port
	mkdir "$work/data"
	if [[ $who == redis ]]; then
		port=$(free_port)
		redis-server --port "$port" --bind 127.0.0.1 --dir "$work/data" --appendonly yes --appendfsync always --save '' >"$work/log" 2>&1 &
		server=$!
		until_true redis-server listens "$port"
		set -- --redis "127.0.0.1:$port"
	else
		rm -f "$work/ports"
		"$build/holdfastd" --data "$work/data" --listen 127.0.0.1:0 --port-file "$work/ports" --gate off --http off \
			--reservations-max 16000000 --journal-bytes-max 64G >"$work/log" 2>&1 &
		server=$!
		until_true holdfastd test -e "$work/ports"
		set -- --server "127.0.0.1:$(sed -n 's/^rpc=//p' "$work/ports")"
	fi
	"$build/holdfast-load" "$@" --connections 50 --in-flight "$in_flight" --seconds "$seconds" --cells "$cells" --brief >>"$work/$who.$in_flight"
	stop_server
}

# median FILE COLUMN
median() { awk -v c="$2" '{ print $c }' "$1" | sort -n | awk '{ v[NR] = $1 } END { print NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2 }'; }

echo "durable reserves of one unit, 50 connections, $cells SKUs, $rounds rounds of $seconds s each, servers in turn"
echo "machine: $(nproc) x $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), Linux $(uname -r); $(redis-server --version | grep -oE 'v=[0-9.]+' | sed 's/v=/Redis /'), appendfsync always"
for ((round = 1; round <= rounds; round++)); do
	for in_flight in 1 128; do
		run redis "$in_flight"
		run holdfast "$in_flight"
	done
	printf '\rround %d of %d done ' "$round" "$rounds" >&2
done
echo >&2
printf '%-10s %-10s %14s %10s %10s %10s %10s\n' 'in flight' server reserves/s 'p50 ms' 'p99 ms' refused 'x Redis'
for in_flight in 1 128; do
	base=$(median "$work/redis.$in_flight" 1)
	for who in redis holdfast; do
		file=$work/$who.$in_flight
		rate=$(median "$file" 1)
		printf '%-10s %-10s %14.0f %10s %10s %10.0f %10s\n' "$in_flight" "$who" "$rate" "$(median "$file" 2)" "$(median "$file" 3)" \
			"$(median "$file" 4)" "$(awk -v a="$rate" -v b="$base" 'BEGIN { printf "%.2f", a / b }')"
	done
done
