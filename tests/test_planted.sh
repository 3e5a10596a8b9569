#!/bin/bash
# test_planted.sh: a proof that cannot fail is a defect. Each bug below is planted in a copy of one file of the tree, linked in
# place of the sound one, and the suite must then fail, by saying so and not by crashing or hanging. The sound program passes
# the same tests first. A patch that no longer applies is a failure, too.
#
#   tests/test_planted.sh [BUG...]     B=build has the archives (they are built when missing)
set -uo pipefail
cd "$(dirname "$0")/.."
B=${B:-build}
CC=${CC:-gcc}
work=$(mktemp -d "${TMPDIR:-/tmp}/holdfast-planted.XXXXXX")
trap 'rm -rf "$work"' EXIT
passed=0 failed=0
archives="$B/libtests.a $B/libserver.a $B/libholdfast.a $B/libpersist.a $B/libcore.a"
libraries="-llmdb -lmsgpackc -levent -ljansson -lcsv -linih -lz -lm"
tests="test_model test_crash_sim test_arrival test_batcher"
model=the_engine_agrees_with_its_twin_

say() { # VERDICT WHAT [WHY]
	echo "$1 $2${3:+: $3}"
	if [[ $1 == ok ]]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
}

# program NAME MAIN-OBJECT [PATCHED-OBJECT...]: patched objects come first, so that the archives' members are not taken.
program() {
	local name=$1
	shift
	# shellcheck disable=SC2086
	$CC -pthread -o "$work/$name.program" "$@" -Wl,--start-group $archives -Wl,--end-group -Wl,--as-needed $libraries
}

# sound PROGRAM TESTS...: without a bug the same tests pass.
declare -A sound_passed
sound() {
	local key="$*"
	if [[ -z ${sound_passed[$key]:-} ]]; then
		sound_passed[$key]=no
		timeout 100 "$B/tests/$1" "${@:2}" >"$work/sound.log" 2>&1 && sound_passed[$key]=yes
	fi
	[[ ${sound_passed[$key]} == yes ]]
}

# planted BUG FILE SED-SCRIPT PROGRAM TESTS...
planted() {
	local bug=$1 file=$2 script=$3 name=$4 code
	shift 4
	local copy=$work/$bug.tree/$file object=$work/$bug.o
	mkdir -p "$(dirname "$copy")"
	sed -E "$script" "$file" >"$copy"
	if cmp -s "$file" "$copy"; then
		say FAIL "planted_bug_caught: $bug" "the patch no longer applies to $file"
	elif ! $CC -std=gnu11 -O1 -msse4.2 -w -I. -Iinclude -c "$copy" -o "$object" || ! program "$bug" "$B/tests/$name.o" "$object"; then
		say FAIL "planted_bug_caught: $bug" "the patched $file does not build"
	elif ! sound "$name" "$@"; then
		say FAIL "planted_bug_caught: $bug" "$name $* fails without it"
	else
		timeout 100 "$work/$bug.program" "$@" >"$work/$bug.log" 2>&1
		code=$?
		if ((code == 1)) && grep -qE '^FAIL ' "$work/$bug.log"; then
			say ok "planted_bug_caught: $bug" "$(grep -m1 -E '^     .*(seed|says)' "$work/$bug.log" | sed 's/^ *//' | cut -c 1-150)"
		else
			say FAIL "planted_bug_caught: $bug" "$name ended with status $code"
			tail -5 "$work/$bug.log"
		fi
	fi
}

wanted=($archives)
for test in $tests; do wanted+=("$B/tests/$test.o" "$B/tests/$test"); done
for file in "${wanted[@]}"; do
	[[ -e $file ]] || make B="$B" "${wanted[@]}" >"$work/make.log" 2>&1 || { tail -20 "$work/make.log"; exit 1; }
done
export HOLDFAST_RUNS=2

bugs() {
	planted reply_before_sync persist/journal.c \
	    '/^batch_write\(/,/^}/ { /calls->sync\(/,+1d }' \
	    test_crash_sim a_crash_at_every_disk_call_loses_nothing_answered random_crashes_one_after_another
	planted reply_before_durable_in_the_server net/batcher.c \
	    's/^\tenum log_outcome outcome = b->log->calls->append/\tatomic_store_explicit(\&b->durable, s->first_seq + s->steps - 1, memory_order_release);\n&/' \
	    test_batcher what_is_decided_is_durable_only_after_its_append
	planted reply_before_append tests/sim_host.c \
	    's/if \(a->wait_for > h->durable\)/if (false)/' \
	    test_crash_sim a_crash_at_every_disk_call_loses_nothing_answered random_crashes_one_after_another
	planted check_and_decrement_apart core/decide_reserve.c \
	    '/^lines_grant\(/,/^}/ { s/^\t\tchange->r\.now\.reserved \+= .*//
	    s/^\tif \(shorts_n == 0 \|\|/\tfor (uint32_t i = 0; i < c->lines_n; i++)\n\t\tchange_of_pair(e, s->sku[i], s->location[i])->r.now.reserved += s->lines[i].granted;\n&/ }' \
	    test_model ${model}usual ${model}hot
	planted expiry_one_batch_late core/engine.c \
	    's/^engine_stamp\(struct engine/planted_unused(void)\n{\n}\nstatic int64_t planted_late;\nvoid\n&/
	    s/^\tif \(now_ms > e->now\)$/\tplanted_late = e->now;\n&/
	    /^engine_expire\(/,/^}/ s/e->now/planted_late/g
	    /^engine_next_deadline\(/,/^}/ s/return ([^;]*);/return \1 <= planted_late ? \1 : INT64_MAX;/' \
	    test_model ${model}short_holds
	planted dedupe_window_off_by_one core/sources.c \
	    's/s->highest - n >= SOURCE_WINDOW/s->highest - n > SOURCE_WINDOW/' \
	    test_model ${model}events ${model}odd
	planted gap_window_off_by_one core/sources.c \
	    's/n - s->contiguous > SOURCE_WINDOW/n - s->contiguous >= SOURCE_WINDOW/' \
	    test_model ${model}events ${model}odd
	planted delta_at_the_count_counted_twice core/step.c \
	    '/^delta_apply\(/,/^}/ s/at <= c->r\.now/at < c->r.now/' \
	    test_arrival every_order_of_deltas_and_counts_gives_the_same_on_hand
	planted repeat_of_an_event_applied_again core/sources.c \
	    's/if \(\(\*mark\)->n == n\)/if ((*mark)->n == n \&\& n % 97)/' \
	    test_arrival repeats_and_shuffles_leave_the_same_stock
	planted one_finished_cart_gives_way_at_most core/room.c \
	    's/room->givers_n == ROOM_GIVERS_MAX/room->givers_n == 1/' \
	    test_model ${model}crowded
	planted another_than_the_oldest_gives_way core/room.c \
	    's/(next\[list\] - 1\]\.seq) < /\1 > /' \
	    test_model ${model}crowded
	planted torn_tail_accepted persist/journal_cursor.c \
	    's/if \(!batch_payload_valid\(at, head\) \|\| [^)]*\) != head->hash\)/if (false)/' \
	    test_crash_sim a_crash_at_every_disk_call_loses_nothing_answered a_tail_torn_at_every_sector_is_cut_at_a_whole_batch \
	    random_crashes_one_after_another
}
bugs
echo "$passed passed, $failed failed"
((failed == 0))
