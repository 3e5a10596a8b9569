#!/bin/bash
# test_install.sh: what `make install` puts into a folder is complete and works there: programs, manual, completion, library; and
# `make uninstall` takes all of it away. The manual and completion are checked by the programs that read them, as far as they are here.
set -uo pipefail
cd "$(dirname "$0")/.."
B=${B:-build}
work=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-install.XXXXXX")
trap 'rm -rf "$work"' EXIT
passed=0 failed=0
# The same compiler and flags as the build, or make would build everything anew.
make=(make -s B="$B" CC="$(sed 's/ -std=gnu11 .*//' "$B/flags")")

verdict() { # NAME STATUS-OR-TEXT: nothing and 0 are good
	if [[ -z $2 || $2 == 0 ]]; then
		echo "ok $1"
		passed=$((passed + 1))
	else
		echo "FAIL $1"
		sed 's/^/     /' <<<"$2"
		failed=$((failed + 1))
	fi
}

prefix=$work/usr
"${make[@]}" install PREFIX="$prefix" >"$work/log" 2>&1
if (($?)); then
	verdict install_ends_well "$(cat "$work/log")"
	echo "$passed passed, $failed failed"
	exit 1
fi
verdict install_ends_well 0

wrong=
while read -r file; do
	[[ -s $prefix/$file ]] || wrong+="$file is missing"$'\n'
done <<-'END'
	bin/holdfast
	bin/holdfastd
	bin/holdfast-gate
	bin/holdfast-bench
	include/holdfast/holdfast.h
	lib/libholdfast.a
	lib/pkgconfig/holdfast.pc
	share/man/man1/holdfast.1
	share/man/man1/holdfast-bench.1
	share/man/man8/holdfastd.8
	share/man/man8/holdfast-gate.8
	share/bash-completion/completions/holdfast
	share/bash-completion/completions/holdfastd
	share/bash-completion/completions/holdfast-gate
	share/bash-completion/completions/holdfast-bench
	share/holdfast/scenarios/flash-sale.ini
	share/zsh/site-functions/_holdfast
END
verdict everything_is_there "$wrong"
verdict the_scenarios_are_found_from_there "$("$prefix/bin/holdfast-bench" list | grep -q '^  flash-sale' || echo none)"
verdict the_programs_run_from_there "$(for p in holdfast holdfastd holdfast-gate holdfast-bench; do "$prefix/bin/$p" --help >/dev/null || echo "$p"; done)"

# ---- the manual ------------------------------------------------------------------------------------------------------
pages=("$prefix"/share/man/man?/holdfast*)
wrong=
for page in "${pages[@]}"; do
	! command -v groff >/dev/null || wrong+=$(groff -man -ww -z -Tutf8 "$page" 2>&1)
	! command -v mandoc >/dev/null || wrong+=$(mandoc -Tlint -Wwarning "$page" 2>&1)
done
verdict the_pages_have_no_faults "$wrong"

# Everything that --help names stands in the page. (In roff a dash is \-.)
wrong=
"$prefix/bin/holdfast" --help | sed -nE 's/^  ([a-z]+) .*/\1/p' >"$work/subcommands"
while read -r name; do
	grep -q "^\.SS \"$name" "$prefix/share/man/man1/holdfast.1" || wrong+="no subcommand $name"$'\n'
	"$prefix/bin/holdfast" "$name" --help | grep -oE '^  --[a-z-]+' | while read -r option; do
		grep -qF -- "${option//-/\\-}" "$prefix/share/man/man1/holdfast.1" || echo "holdfast $name: no $option"
	done >>"$work/missing"
done <"$work/subcommands"
for program in holdfastd.8 holdfast-gate.8 holdfast-bench.1; do
	section=${program#*.} program=${program%.*}
	"$prefix/bin/$program" --help | grep -oE '^  --[a-z0-9-]+' | while read -r option; do
		grep -qF -- "${option//-/\\-}" "$prefix/share/man/man$section/$program.$section" || echo "$program: no $option"
	done >>"$work/missing"
done
verdict the_pages_say_what_help_says "$wrong$(cat "$work/missing")"
verdict there_are_many_subcommands "$( (($(wc -l <"$work/subcommands") >= 18)) || cat "$work/subcommands")"

# ---- bash completes --------------------------------------------------------------------------------------------------
source "$prefix/share/bash-completion/completions/holdfast"
mkdir "$work/files" && touch "$work/files/day.csv" "$work/files/day 2.csv" && mkdir "$work/files/data"

completes() { # LINE WANTED: the line as typed, the cursor at its end; WANTED must be among what comes
	local line=${1//:/ : }
	line=${line//=/ = }
	read -ra COMP_WORDS <<<"$line"
	[[ $1 == *' ' ]] && COMP_WORDS+=("")
	COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
	(cd "$work/files" && _holdfast "${COMP_WORDS[0]}" "${COMP_WORDS[COMP_CWORD]}" "" && printf '%s\n' "${COMPREPLY[@]}") >"$work/came"
	if [[ $2 == nothing ]]; then
		verdict "bash_completes ($1)" "$(grep . "$work/came")"
	elif [[ $2 == !* ]]; then
		verdict "bash_completes ($1 without ${2#!})" "$(grep -xF -- "${2#!}" "$work/came")"
	else
		verdict "bash_completes ($1 to $2)" "$(grep -qxF -- "$2" "$work/came" || echo "only: $(tr '\n' ' ' <"$work/came")")"
	fi
}
while IFS='|' read -r line wanted; do
	completes "$line" "$wanted"
done <<-'END'
	holdfast sc|scan
	holdfast |help
	holdfast help quar|quarantine
	holdfast --server 127.0.0.1:7400 res|reserve
	holdfast --json st|stock
	holdfast scan --sku|--sku-prefix
	holdfast scan --sku|!--snapshot
	holdfast --t|--timeout
	holdfast post --format |jsonl
	holdfast post --format=c|csv
	holdfast post day|day.csv
	holdfast post day|day 2.csv
	holdfast post --batch 5 --rpc day.|day.csv
	holdfast post --set kind=|nothing
	holdfast scan --out |day.csv
	holdfast doctor |data
	holdfast doctor |!day.csv
	holdfast ats |nothing
	holdfast policy |set-oversell
	holdfast quarantine re|replay
	holdfast completion |zsh
	holdfastd --hist|--history-bytes
	holdfastd --data |data
	holdfastd --gate o|off
	holdfast-gate --ev|--events
	holdfast-bench cap|capacity
	holdfast-bench run |day.csv
	holdfast-bench run x --js|--json
END
if command -v zsh >/dev/null; then
	verdict zsh_takes_its_script "$(zsh -n "$prefix/share/zsh/site-functions/_holdfast" 2>&1)"
fi

# ---- the library -----------------------------------------------------------------------------------------------------
printf '%s\n' '#include <holdfast/holdfast.h>' '#include <stdio.h>' 'int main(void) {' 'struct hf_failure f;' \
	'struct hf *hf = hf_connect("127.0.0.1", 1, 1000, &f);' 'puts(f.message);' 'hf_close(hf);' 'return hf != NULL; }' >"$work/user.c"
cp "$work/user.c" "$work/user.cc"
if command -v pkg-config >/dev/null; then
	flags=$(PKG_CONFIG_PATH=$prefix/lib/pkgconfig pkg-config --cflags --libs holdfast)
else
	flags="-I$prefix/include -L$prefix/lib -lholdfast -lmsgpackc"
fi
for compiler in "gcc user.c" "g++ user.cc"; do
	command -v "${compiler% *}" >/dev/null || continue
	(cd "$work" && $compiler $flags -o user && ./user) >"$work/log" 2>&1
	verdict "a_program_links_with_the_library (${compiler% *})" "$(grep -q "nothing listens on" "$work/log" || { echo "flags: $flags"; cat "$work/log"; })"
done

# ---- and away --------------------------------------------------------------------------------------------------------
"${make[@]}" uninstall PREFIX="$prefix" >"$work/log" 2>&1
verdict uninstall_leaves_no_file "$(cat "$work/log"; find "$prefix" -type f -o -name holdfast -type d)"
"${make[@]}" install PREFIX=/usr DESTDIR="$work/stage" >"$work/log" 2>&1
verdict destdir_stands_in_front_and_not_in_the_files "$([[ -x $work/stage/usr/bin/holdfast ]] || echo no program
	grep -rl "$work" "$work/stage/usr/lib/pkgconfig" "$work/stage/usr/share" 2>/dev/null)"

echo "$passed passed, $failed failed"
((failed == 0))
