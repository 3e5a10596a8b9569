# sizes.tsv: cells, bytes a cell, bytes a hold, reserves/s, ready s, image MB
set terminal svg size 900,620 font 'sans,12' background '#ffffff'
data = folder . '/sizes.tsv'
set multiplot layout 2,2 title 'By the number of cells'
set logscale x
set format x '10^{%L}'
set grid lc '#dddddd'
set key off
set style data linespoints
set pointsize 0.8
set yrange [0:*]
set title 'reserves a second, durable, 50 x 128'
set format y '%.0s%c'
plot data using 1:4 lw 2 lc '#1f6f8b'
set format y '%g'
set yrange [0:260]
set title 'bytes resident: a cell (must: 144), an open hold (must: 192)'
set key bottom left
plot data using 1:2 lw 2 lc '#1f6f8b' title 'a cell', data using 1:3 lw 2 lc '#c8553d' title 'a one-line hold', \
	144 lc '#1f6f8b' dt 2 notitle, 192 lc '#c8553d' dt 2 notitle
set key off
set autoscale y
set logscale y
set title 'seconds until ready, with a million holds'
plot data using 1:5 lw 2 lc '#1f6f8b'
set title 'image, MB'
plot data using 1:6 lw 2 lc '#1f6f8b'
