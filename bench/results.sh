#!/bin/bash
# results.sh NAME TITLE: puts what stands on stdin into bench/RESULTS.md, in the place of what this NAME put there before: between the
# lines "<!-- NAME: begin -->" and "<!-- NAME: end -->". Without those a section TITLE is added at the end.
set -euo pipefail
cd "$(dirname "$0")"
name=$1 title=$2 file=RESULTS.md
section=$(mktemp "$file.XXXXXX")
trap 'rm -f "$section" "$section.new"' EXIT
cat >"$section"
[[ -e $file ]] || printf '# Results\n' >"$file"
grep -qxF "<!-- $name: begin -->" "$file" ||
	printf '\n## %s\n\n<!-- %s: begin -->\n<!-- %s: end -->\n' "$title" "$name" "$name" >>"$file"
awk -v section="$section" -v begin="<!-- $name: begin -->" -v end="<!-- $name: end -->" '
	$0 == end { inside = 0 }
	!inside { print }
	$0 == begin { inside = 1; while ((getline line < section) > 0) print line }' "$file" >"$section.new"
cat "$section.new" >"$file"
