# soak.tsv: minutes, commands/s, p50 ms, p99 ms, p99.9 ms, memory MB, files MB, lag s
set terminal svg size 900,620 font 'sans,12' background '#ffffff'
data = folder . '/soak.tsv'
set multiplot layout 2,2 title 'A long run'
set grid lc '#dddddd'
set key off
set style data linespoints
set pointsize 0.6
set xlabel 'minutes'
set yrange [0:*]
set title 'commands a second'
set format y '%.0s%c'
plot data using 1:2 lw 2 lc '#1f6f8b'
set format y '%g'
set title 'latency, ms'
set key top left
plot data using 1:3 lw 2 lc '#8fb8c8' title 'p50', data using 1:4 lw 2 lc '#1f6f8b' title 'p99', data using 1:5 lw 2 lc '#c8553d' title 'p99.9'
set title 'MB'
plot data using 1:6 lw 2 lc '#1f6f8b' title 'memory', data using 1:7 lw 2 lc '#c8553d' title 'journal and image'
set key off
set title 'the image is behind by so many seconds'
plot data using 1:8 lw 2 lc '#1f6f8b'
