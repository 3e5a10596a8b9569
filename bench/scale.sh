#!/bin/bash
# scale.sh TASK BUILD [ARGUMENTS...]: runs build/holdfast-scale TASK (sizes, image, soak), shows what it says, and writes it into
# bench/RESULTS.md with the machine and the date, and its plot into bench/TASK.svg. RECORD=no: only shows. The exit code is the verdict.
set -euo pipefail
cd "$(dirname "$0")/.."
task=$1 build=$2
shift 2
declare -A titles=([sizes]='From ten thousand to a hundred million cells' [image]='While the image is written' [soak]='A long run')
.ci/packages gnuplot-nox
export LC_ALL=C.UTF-8
work=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-plot.XXXXXX")
trap 'rm -rf "$work"' EXIT
verdict=0 load=$(cut -d' ' -f1 /proc/loadavg)
"$build/holdfast-scale" "$task" "$work" "$@" | tee "$work/page" || verdict=$?
((verdict <= 1)) || exit "$verdict"
[[ ${RECORD:-yes} != no ]] || exit "$verdict"
gnuplot -e "folder='$work'; set output 'bench/$task.svg'" "bench/plot_$task.gnuplot"
{
	echo "Written by \`make bench-${task/sizes/scale}\` on $(date -u +%F), commit $(git rev-parse --short HEAD 2>/dev/null || echo unknown):" \
		"$(nproc) x $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -1), $(awk '/^MemTotal/ { printf "%.0f GB", $2 / 1e6 }' /proc/meminfo)," \
		"Linux $(uname -r), $(stat -f -c %T "$work") on ${TMPDIR:-/tmp}, load before it $load."
	echo
	cat "$work/page"
	echo
	echo "![plot]($task.svg)"
} | bench/results.sh "$task" "${titles[$task]}"
exit "$verdict"
