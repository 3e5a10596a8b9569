#!/bin/bash
# test_real_data.sh [whole]: a shop's year of stock events through the gate, and what must be left of it.
#
# The data are the public sets "Online Retail" (UCI) and "FreshRetailNet-50K" as gzipped CSV, when they are in $HOLDFAST_DATA
# or beside the checkout; else rows of the same shape are generated, and the script says so. In the suite the first 20,000
# rows; with `whole` all of them, compared with the closing stock that came with the data.
#
#   1  every stock row is an event of source `shop`, n counting them, at the location UK; opening stock is posted as receipts
#   2  the closing on hand of every SKU is what plain sums (or the data's own closing) say
#   3  the same file again: all duplicates, the same digest
#   4  the rows shuffled inside the window, some of them twice, into a fresh server: the same digest
set -euo pipefail
cd "$(dirname "$0")/.."
size=${1:-part}
build=${B:-build}
work=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-real.XXXXXX")
server= passed=0 failed=0
finish() {
	[[ -z $server ]] || kill -KILL "$server" 2>/dev/null || true
	wait 2>/dev/null || true
	rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT TERM

start_server() { # FOLDER
	rm -f "$work/ports"
	"$build/holdfastd" --data "$work/$1" --listen 127.0.0.1:0 --http off --port-file "$work/ports" --segment-bytes 16M >"$work/log" 2>&1 &
	server=$!
	for _ in {1..3000}; do
		[[ -e $work/ports ]] && break
		kill -0 "$server" 2>/dev/null || { cat "$work/log"; exit 1; }
		sleep 0.02
	done
	rpc=127.0.0.1:$(sed -n 's/^rpc=//p' "$work/ports")
	events=127.0.0.1:$(sed -n 's/^events=//p' "$work/ports")
}
stop_server() {
	kill "$server"
	wait "$server"
	server=
}

# holds NAME WANTED GOT
holds() {
	if [[ $2 == "$3" ]]; then
		passed=$((passed + 1))
		echo "ok $1"
	else
		failed=$((failed + 1))
		echo "FAIL $1: wanted $2, got $3"
	fi
}

# post FILE: its tally as "applied duplicate other rows_per_second".
post() {
	"$build/holdfast" --json --server "$rpc" post "$1" --events "$events" --rejected "$work/rejected.csv" >"$work/tally" || true
	awk 'BEGIN { RS = "[,{}\n]" } { split($0, f, /: */); gsub(/"/, "", f[1]); v[f[1]] = f[2] }
		END { print v["applied"] + 0, v["duplicate"] + 0, v["absorbed"] + v["reconciled"] + v["rejected"] + 0, int(v["events_per_second"]) }' "$work/tally"
}
digest() { "$build/holdfast" --json --server "$rpc" digest | grep -oE '"stock": *"[^"]*"'; }

# differing FILE: of lines "sku,location,on_hand", how many does the server see otherwise?
differing() {
	cut -d, -f1,2 "$1" | "$build/holdfast-onhand" "${rpc%:*}" "${rpc#*:}" >"$work/server"
	diff "$1" "$work/server" >"$work/diff" || true; grep "^[<>]" "$work/diff" | head -5 >&2
	grep -c '^<' "$work/diff" || true
}

# sums FILE: on hand of each cell, from the events alone.
sums() {
	awk -F, 'FNR > 1 { k = $4 "," $5; v[k] += $3 == "sale" ? -$6 : $6 } END { for (k in v) print k "," v[k] }' "$@" | sort
}

# windows FILE: its rows shuffled, no row by more than 3,000 places, every tenth of them twice; order of sort is stable.
windows() {
	awk -F, 'BEGIN { srand(7) } NR == 1 { print "0," $0; next }
		{ print NR + int(rand() * 3000) "," $0 } NR % 10 == 0 { print NR + 3000 + int(rand() * 500) "," $0 }' "$1" | sort -s -t, -k1,1n | cut -d, -f2-
}

find_data() {
	local folder
	for folder in "${HOLDFAST_DATA:-}" ../*/data; do
		[[ -n $folder && -e $folder/online_retail.csv.gz ]] && { echo "$folder"; return; }
	done
	return 0
}

# Rows of the same shape as the shop's: many sales, some returns and adjustments of a few hundred SKUs.
generate() {
	awk 'BEGIN { srand(11); print "ts,txn,sku,loc,qty,price,kind,cust,note,seq"
		for (i = 0; i < 20000; i++) {
			x = rand(); kind = x < .97 ? "sale" : x < .987 ? "return" : x < .995 ? "adjust" : "nonstock"
			q = 1 + int(rand() * rand() * 40); if (kind == "return" || (kind == "adjust" && rand() < .6)) q = -q
			printf "2010-12-%02dT%02d:%02d:00,%d,%d,United Kingdom,%d,1.25,%s,,%s,%d\n", 1 + i / 900, 8 + i / 75 % 12, i / 5 % 60, 536365 + i / 20,
				20000 + int(700 * rand() ^ 2), q, kind, kind == "adjust" && rand() < .5 ? "damaged" : "", i
		} }'
}

# The shop's rows as events. A note may hold commas: it is what stands between the ninth and the last field, as it is.
convert() {
	awk -F, 'NR == 1 { print "source,n,kind,sku,location,qty,at,reason"; next } $7 == "nonstock" { next }
		{ q = $5; if ($7 != "adjust" && q < 0) q = -q
		  kind = $7 == "free" ? "sale" : $7; reason = ""
		  if (kind == "adjust") { for (i = 9; i < NF; i++) reason = reason (i > 9 ? "," : "") $i; if (reason == "") reason = "unstated" }
		  print "shop," ++n "," kind "," $3 ",UK," q "," $1 "," reason }'
}

# sku,opening,closing to receipts.
opening() { awk -F, 'NR == 1 { print "source,n,kind,sku,location,qty,at"; next } $2 > 0 { print "opening," ++n ",receipt," $1 ",UK," $2 ",2010-12-01T00:00:00" }'; }

shop() {
	local what rows before
	data=$(find_data)
	if [[ -n $data ]]; then
		zcat "$data/online_retail.csv.gz" | if [[ $size == whole ]]; then cat; else awk 'NR <= 20001'; fi | convert >"$work/shop.csv"
		zcat "$data/online_retail_opening.csv.gz" >"$work/closing.csv"
		echo "     data: Online Retail, $([[ $size == whole ]] && echo the whole year || echo its first 20,000 rows)"
	else
		generate | convert >"$work/shop.csv"
		awk -F, 'NR == 1 { print "sku,opening_needed,closing_if_so"; next } !($4 in seen) { seen[$4]; print $4 ",100,0" }' "$work/shop.csv" >"$work/closing.csv"
		echo "     data: generated rows of the same shape (no real data beside the checkout)"
	fi
	opening <"$work/closing.csv" >"$work/opening.csv"
	rows=$(($(wc -l <"$work/shop.csv") - 1)) before=$(($(wc -l <"$work/opening.csv") - 1))
	start_server shop
	read -r applied duplicate other rate < <(post "$work/opening.csv")
	holds "the opening stock of $before SKUs is applied" "$before 0 0" "$applied $duplicate $other"
	read -r applied duplicate other rate < <(post "$work/shop.csv")
	holds "all $rows events are applied" "$rows 0 0" "$applied $duplicate $other"
	echo "     $rate events a second"
	if [[ -n $data && $size == whole ]]; then
		awk -F, 'NR > 1 { print $1 ",UK," $3 }' "$work/closing.csv" | sort >"$work/want"
		what="the closing that came with the data"
	else
		sums "$work/opening.csv" "$work/shop.csv" >"$work/want"
		what="plain sums"
	fi
	holds "on hand of $(wc -l <"$work/want") SKUs equals $what" 0 "$(differing "$work/want")"
	before=$(digest)
	read -r applied duplicate other rate < <(post "$work/shop.csv")
	holds "a second replay is all duplicates" "0 $rows 0" "$applied $duplicate $other"
	holds "and changes nothing" "$before" "$(digest)"
	stop_server
	windows "$work/shop.csv" >"$work/windows.csv"
	start_server windows
	post "$work/opening.csv" >/dev/null
	read -r applied duplicate other rate < <(post "$work/windows.csv")
	holds "shuffled windows with repeats: each is applied once" "$rows $((rows / 10)) 0" "$applied $duplicate $other"
	holds "and the stock digest is the same" "$before" "$(digest)"
	stop_server
}

# The city's sales: hundredths of a unit as units, each store a source.
city() {
	local rows
	[[ -n $data && -e $data/fresh_city12.csv.gz ]] || { echo "     no city data beside the checkout: left out"; return; }
	zcat "$data/fresh_city12.csv.gz" | awk -F, 'NR == 1 { print "source,n,kind,sku,location,qty,at"; next }
		$6 == "sale" { print $3 "," ++n[$3] ",sale," $2 "," $3 "," int($4 * 100 + .5) "," $1 ":00" }' >"$work/city.csv"
	rows=$(($(wc -l <"$work/city.csv") - 1))
	echo "     data: FreshRetailNet-50K, one city"
	start_server city
	read -r applied duplicate other rate < <(post "$work/city.csv")
	holds "all $rows sales of the city are applied" "$rows 0 0" "$applied $duplicate $other"
	echo "     $rate events a second"
	sums "$work/city.csv" >"$work/want"
	holds "on hand of $(wc -l <"$work/want") cells equals plain sums" 0 "$(differing "$work/want")"
	before=$(digest)
	read -r applied duplicate other rate < <(post "$work/city.csv")
	holds "a second replay of the city is all duplicates" "0 $rows 0" "$applied $duplicate $other"
	holds "and changes nothing" "$before" "$(digest)"
	stop_server
}

shop
[[ $size != whole ]] || city
echo "$passed passed, $failed failed"
((failed == 0))
