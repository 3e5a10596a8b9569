# chart.tsv: what is done, then a second: PostgreSQL, Tarantool, Redis always, Redis without log, Holdfast ("?": not measured)
set terminal svg size 980,480 font 'sans,12' background '#ffffff'
data = folder . '/chart.tsv'
set datafile separator '\t'
set datafile missing '?'
array name[5] = ['PostgreSQL', 'Tarantool', 'Redis, appendfsync always', 'Redis, no log', 'Holdfast']
array colour[5] = ['#b9c4cc', '#8fa3b0', '#d9a441', '#e8cf9a', '#1f6f8b']
set title 'Per second, by server (logarithmic scale): durable reserves, cells read, stock events' font 'sans,13'
set logscale y
set yrange [100:100000000]
set format y '%.0s%c'
set ytics nomirror
set xtics nomirror font 'sans,10' scale 0
set grid y lc '#e4e4e4'
set bmargin 5
set border 3 lc '#888888'
set key top left horizontal
set style fill solid 1 noborder
width = 0.16
# The categories are too long for one line: broken at each comma, and before a parenthesis.
at_comma(s) = (at = strstrt(s, ', '), at ? s[1:at - 1] . "\n" . at_comma(s[at + 2:*]) : s)
broken(s) = (at = strstrt(s, ' ('), at ? at_comma(s[1:at - 1]) . "\n" . at_comma(s[strstrt(s, ' (') + 1:*]) : at_comma(s))
shown(v) = v >= 1000000 ? sprintf('%.2fM', v / 1e6) : v >= 10000 ? sprintf('%.0fk', v / 1e3) : v >= 1000 ? sprintf('%.1fk', v / 1e3) : sprintf('%.0f', v)
plot [-0.5:6.6] data using 0:(1):xtic(broken(strcol(1))) with points pt 0 notitle, \
	for [i = 1:5] data using ($0 + (i - 3) * width):(column(i + 1)):(width * 0.92) with boxes lc rgb colour[i] title name[i], \
	for [i = 1:5] data using ($0 + (i - 3) * width):(column(i + 1)):(shown(column(i + 1))) with labels rotate by 90 left offset 0,0.4 font 'sans,9' tc '#333333' notitle
