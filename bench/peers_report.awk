# peers_report.awk ROWS RESULTS LIMITS: tables of what peers.sh measured, in Markdown. RESULTS has lines "round row kind rate p50 p99 refused",
# LIMITS "round name figure unit what". With -v want_only=short: the table for the README; =chart: columns for plot_peers.gnuplot.
# A ratio is taken within a round, where both ran within minutes; the median of the rounds counts, least and greatest are the spread.
BEGIN {
	split("holdfast holdfast_gate redis_always redis_everysec redis_off redis_none redis_tool postgres postgres_tool tarantool nanomsg least micro", order)
	title["holdfast"] = "Holdfast"; title["holdfast_gate"] = "Holdfast, gate"; title["micro"] = "Holdfast's engine"
	title["redis_always"] = "Redis, always"; title["redis_everysec"] = "Redis, everysec"; title["redis_off"] = "Redis, off"
	title["redis_none"] = "Redis, no log"; title["redis_tool"] = "Redis, no log, by redis-benchmark"
	title["postgres"] = "PostgreSQL"; title["postgres_tool"] = "PostgreSQL, by pgbench"; title["tarantool"] = "Tarantool"
	title["nanomsg"] = "nanomsg alone"; title["least"] = "the least server"
	split("reserve_ahead scan decode encode", k)
	for (i in k)
		costs[k[i]] # Holdfast's own, no limit
}

function trim(s) { gsub(/^ +| +$/, "", s); return s }

# Sorts values[1..n].
function sort(values, n,   i, j, v) {
	for (i = 2; i <= n; i++) {
		v = values[i]
		for (j = i - 1; j >= 1 && values[j] > v; j--)
			values[j + 1] = values[j]
		values[j + 1] = v
	}
}
function median_of(values, n) { sort(values, n); return n % 2 ? values[(n + 1) / 2] : (values[n / 2] + values[n / 2 + 1]) / 2 }

# Column `what` of a kind in a row: the median of its rounds; least and greatest in low and high. "" when it did not run.
function median(row, kind, what,   n, r, values) {
	for (r = 1; r <= rounds; r++)
		if ((r, row, kind, what) in figure)
			values[++n] = figure[r, row, kind, what]
	if (!n)
		return ""
	m = median_of(values, n)
	low = values[1]; high = values[n]
	return m
}

function ours(row) { return (1, row, "holdfast_gate", "rate") in figure ? "holdfast_gate" : (1, row, "micro", "rate") in figure ? "micro" : "holdfast" }

function best(round, row, list,   i, kinds, rate) {
	split(list, kinds, ",")
	for (i = 1; i in kinds; i++)
		if ((round, row, kinds[i], "rate") in figure && figure[round, row, kinds[i], "rate"] > rate)
			rate = figure[round, row, kinds[i], "rate"]
	return rate
}

# The median of the ratios of the rounds, spread in low and high.
function ratio(row,   n, r, at, mine, theirs, values) {
	for (r = 1; r <= rounds; r++) {
		if (!((r, row, ours(row), "rate") in figure))
			continue
		mine = figure[r, row, ours(row), "rate"]
		if (substr(base[row], 1, 1) == "=")
			theirs = substr(base[row], 2)
		else if (at = index(base[row], "@"))
			theirs = figure[r, substr(base[row], at + 1), substr(base[row], 1, at - 1), "rate"]
		else
			theirs = best(r, row, base[row])
		if (mine > 0 && theirs > 0)
			values[++n] = mine / theirs
	}
	if (!n)
		return ""
	m = median_of(values, n)
	low = values[1]; high = values[n]
	return m
}

function best_median(row, list,   i, kinds, m, most) {
	split(list, kinds, ",")
	for (i = 1; i in kinds; i++)
		if ((m = median(row, kinds[i], "rate")) + 0 > most)
			most = m
	return most
}

function base_title(row,   at) {
	if (substr(base[row], 1, 1) == "=")
		return thousands(substr(base[row], 2)) "/s"
	if (at = index(base[row], "@"))
		return title[substr(base[row], 1, at - 1)] ", " what[substr(base[row], at + 1)]
	split(base[row], at_all, ",")
	return title[at_all[1]]
}

function thousands(v,   s, out) {
	s = sprintf("%.0f", v)
	while (length(s) > 3) {
		out = "," substr(s, length(s) - 2) out
		s = substr(s, 1, length(s) - 3)
	}
	return s out
}

# The median of a limit's rounds.
function limit(name,   n, r, values) {
	for (r = 1; r <= rounds; r++)
		if ((r, name) in limits)
			values[++n] = limits[r, name]
	return n ? median_of(values, n) : ""
}

# Of two kinds of a row, as a share.
function share(row, a, b,   x, y) {
	x = median(row, a, "rate"); y = median(row, b, "rate")
	return x == "" || y == "" ? "" : sprintf("%.0f %%", 100 * x / y)
}

function close_line(what, mine, most, answer) {
	if (answer != "")
		printf "| %s | %s | %s | %s |\n", what, mine, most, answer
}

# A limit of the machine against what Holdfast needs.
function close_ns(what, mine, most,   a, b) {
	a = limit(mine); b = limit(most)
	if (a != "" && b != "")
		close_line(what, sprintf("%.0f %s", a, unit[mine]), sprintf("%.0f %s: %s", b, unit[most], said[most]), sprintf("%.1f x", a / b))
}

function rate_of(row, kind,   m) { m = median(row, kind, "rate"); return m == "" ? "" : thousands(m) "/s" }

function print_ratios(   i, row, m) {
	print "\n| work | compared with | ratio | of the rounds | must | want | reached |\n|---|---|---|---|---|---|---|"
	for (i = 1; i <= names_n; i++) {
		row = names[i]
		if (!ran[row] || (m = ratio(row)) == "")
			continue
		printf "| %s | %s | **%.2f** | %.2f to %.2f | %s | %s | %s |\n", what[row], base_title(row), m, low, high, must[row], want[row],
		    (want[row] != "" && m + 0 >= want[row] + 0 ? "yes, and the want" : m + 0 >= must[row] + 0 ? "yes" : "**no**")
	}
}

function print_rates(   i, k, row, kind, rate, spread) {
	print "\n| work | server | a second | of the rounds | p50 ms | p99 ms | refused |\n|---|---|---|---|---|---|---|"
	for (i = 1; i <= names_n; i++)
		for (k = 1; k in order; k++) {
			row = names[i]; kind = order[k]
			if ((rate = median(row, kind, "rate")) == "")
				continue
			spread = thousands(low) " to " thousands(high)
			printf "| %s | %s | %s | %s | %s |\n", what[row], title[kind], thousands(rate), spread,
			    (median(row, kind, "p50") == 0 ? " | | " : sprintf("%.2f | %.2f | %s", median(row, kind, "p50"), median(row, kind, "p99"),
			        thousands(median(row, kind, "refused"))))
		}
}

function print_limits(   i, m, p50) {
	if (!limits_n)
		return
	print "\nWhat the machine can do, in the same rounds:\n\n| limit | figure |\n|---|---|"
	for (i = 1; i <= limits_n; i++)
		if (!(limit_names[i] in costs))
			printf "| %s | %.1f %s |\n", said[limit_names[i]], limit(limit_names[i]), unit[limit_names[i]]
	print "\nHow close Holdfast comes:\n\n| what | Holdfast | limit | so |\n|---|---|---|---|"
	close_line(what["u1"], rate_of("u1", "holdfast"), rate_of("u1", "least") ": the least server that syncs", share("u1", "holdfast", "least"))
	close_line(what["u128"], rate_of("u128", "holdfast"), rate_of("u128", "least") ": the least server that syncs", share("u128", "holdfast", "least"))
	close_line(what["e100"], rate_of("e100", "holdfast_gate"), rate_of("e100", "nanomsg") ": a nanomsg socket with nothing behind it",
	    share("e100", "holdfast_gate", "nanomsg"))
	p50 = median("u1", "holdfast", "p50"); m = limit("sync_4k") + limit("loopback")
	if (p50 != "" && m > 0)
		close_line(what["u1"] ", p50", sprintf("%.0f us", p50 * 1000), sprintf("%.0f us: one sync and one round trip, nobody else there", m),
		    sprintf("%.1f x", p50 * 1000 / m))
	close_ns("engine, a reservation (1 M cells)", "reserve_ahead", "memory_1m_ahead")
	close_ns("decode a request", "decode", "objects_decode")
	close_ns("encode an answer", "encode", "objects_encode")
}

function print_short(   i, row, m, mine) {
	print "| work | compared with | Holdfast | ratio | p50, p99 |\n|---|---|---|---|---|"
	for (i = 1; i <= names_n; i++) {
		row = names[i]
		if (!ran[row] || (m = ratio(row)) == "")
			continue
		mine = ours(row)
		printf "| %s | %s | %s/s | **%.2f** | %s |\n", what[row],
		    base_title(row) (base[row] ~ /[=@]/ ? "" : ": " thousands(best_median(row, base[row])) "/s"), thousands(median(row, mine, "rate")), m,
		    (mine == "micro" ? "" : sprintf("%.2f ms, %.2f ms", median(row, mine, "p50"), median(row, mine, "p99")))
	}
}

# A line for each row that the chart shows, a column for each of its kinds.
function print_chart(   i, k, n, name, rows, kinds, rate) {
	split("u1 u128 h1 h128 r1 r100 e100", rows)
	n = split("postgres tarantool redis_always redis_none holdfast", kinds)
	for (i = 1; i in rows; i++) {
		name = what[rows[i]]
		gsub(/`/, "", name)
		sub(/ \(/, ", (", name)
		printf "%s", name
		for (k = 1; k <= n; k++) {
			rate = median(rows[i], kinds[k] == "holdfast" ? ours(rows[i]) : kinds[k], "rate")
			printf "\t%s", (rate == "" ? "?" : rate)
		}
		print ""
	}
}

FNR == 1 { file++ }
/^#/ || /^ *$/ { next }
file == 1 {
	split($0, field, "|")
	name = trim(field[1]); names[++names_n] = name
	what[name] = trim(field[2]); units[name] = trim(field[4]); base[name] = trim(field[5]); must[name] = trim(field[6]); want[name] = trim(field[7])
	next
}
file == 2 {
	rounds = $1 > rounds ? $1 : rounds
	ran[$2] = 1
	figure[$1, $2, $3, "rate"] = $4 * units[$2]
	figure[$1, $2, $3, "p50"] = $5; figure[$1, $2, $3, "p99"] = $6; figure[$1, $2, $3, "refused"] = $7
	next
}
{
	if (!($2 in said))
		limit_names[++limits_n] = $2
	limits[$1, $2] = $3; unit[$2] = $4
	said[$2] = $0
	sub(/^[^ ]+ [^ ]+ [^ ]+ [^ ]+ /, "", said[$2])
}

END {
	if (want_only == "short")
		print_short()
	else if (want_only == "chart")
		print_chart()
	else {
		print_ratios()
		print_rates()
		print_limits()
	}
}
