# peers_report.awk ROWS RESULTS: tables of what peers.sh measured, in Markdown. RESULTS has lines "round row kind rate p50 p99 refused".
# A ratio is taken within a round, where both ran within minutes; the median of the rounds counts, least and greatest are the spread.
BEGIN {
	split("holdfast holdfast_gate redis_always redis_everysec redis_none postgres tarantool nanomsg", order)
	title["holdfast"] = "Holdfast"; title["redis_always"] = "Redis, always"; title["redis_everysec"] = "Redis, everysec"
	title["redis_none"] = "Redis, no log"; title["postgres"] = "PostgreSQL"; title["tarantool"] = "Tarantool"
	title["holdfast_gate"] = "Holdfast, gate"; title["nanomsg"] = "nanomsg alone"
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

function ours(row) { return (1, row, "holdfast_gate", "rate") in figure ? "holdfast_gate" : "holdfast" }

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
			theirs = figure[r, row, base[row], "rate"]
		if (mine > 0 && theirs > 0)
			values[++n] = mine / theirs
	}
	if (!n)
		return ""
	m = median_of(values, n)
	low = values[1]; high = values[n]
	return m
}

function base_title(row,   at) {
	if (substr(base[row], 1, 1) == "=")
		return thousands(substr(base[row], 2)) "/s"
	if (at = index(base[row], "@"))
		return title[substr(base[row], 1, at - 1)] ", " what[substr(base[row], at + 1)]
	return title[base[row]]
}

function thousands(v,   s, out) {
	s = sprintf("%.0f", v)
	while (length(s) > 3) {
		out = "," substr(s, length(s) - 2) out
		s = substr(s, 1, length(s) - 3)
	}
	return s out
}

FNR == 1 { file++ }
/^#/ || /^ *$/ { next }
file == 1 {
	split($0, field, "|")
	name = trim(field[1]); names[++names_n] = name
	what[name] = trim(field[2]); units[name] = trim(field[4]); base[name] = trim(field[5]); must[name] = trim(field[6]); want[name] = trim(field[7])
	next
}
{
	rounds = $1 > rounds ? $1 : rounds
	ran[$2] = 1
	figure[$1, $2, $3, "rate"] = $4 * units[$2]
	figure[$1, $2, $3, "p50"] = $5; figure[$1, $2, $3, "p99"] = $6; figure[$1, $2, $3, "refused"] = $7
}

END {
	print "\n| work | compared with | ratio | of the rounds | must | want | reached |\n|---|---|---|---|---|---|---|"
	for (i = 1; i <= names_n; i++) {
		row = names[i]
		if (!ran[row] || (m = ratio(row)) == "")
			continue
		printf "| %s | %s | **%.2f** | %.2f to %.2f | %s | %s | %s |\n", what[row], base_title(row), m, low, high, must[row], want[row],
		    (want[row] != "" && m + 0 >= want[row] + 0 ? "yes, and the want" : m + 0 >= must[row] + 0 ? "yes" : "**no**")
	}
	print "\n| work | server | a second | of the rounds | p50 ms | p99 ms | refused |\n|---|---|---|---|---|---|---|"
	for (i = 1; i <= names_n; i++)
		for (k = 1; k in order; k++) {
			row = names[i]; kind = order[k]
			if ((rate = median(row, kind, "rate")) == "")
				continue
			spread = thousands(low) " to " thousands(high)
			printf "| %s | %s | %s | %s | %.2f | %.2f | %s |\n", what[row], title[kind], thousands(rate), spread,
			    median(row, kind, "p50"), median(row, kind, "p99"), thousands(median(row, kind, "refused"))
		}
}
