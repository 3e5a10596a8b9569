# image.tsv: share, half without, half with, full without, full with (ms)
set terminal svg size 900,420 font 'sans,12' background '#ffffff'
data = folder . '/image.tsv'
set title 'A durable reserve while the image is written, and while it is not'
set logscale xy
set xlabel 'share of requests that waited longer'
set ylabel 'ms'
set xrange [0.6:0.00008]
set grid lc '#dddddd'
set key top left
set style data linespoints
set pointsize 0.7
plot data using (1 - $1):2 lw 2 lc '#1f6f8b' dt 2 title 'half load, not written', data using (1 - $1):3 lw 2 lc '#1f6f8b' title 'half load, written', \
	data using (1 - $1):4 lw 2 lc '#c8553d' dt 2 title 'full load, not written', data using (1 - $1):5 lw 2 lc '#c8553d' title 'full load, written'
