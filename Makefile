# Holdfast: every task of a developer's day. `make help` lists them.
#
#   make SAN=address,undefined ...   the same targets under sanitizers, in build-asan
#   make SAN=thread ...              the same, in build-tsan
#   make CC=clang OPT=-O0 ...        another compiler, another level: what changed is rebuilt
SHELL := /bin/bash
.DELETE_ON_ERROR:
.SUFFIXES:

ifeq ($(origin CC),default)
CC := gcc
endif
OPT ?= -O2
SAN ?=
DEFS ?=
B ?= $(if $(SAN),$(if $(findstring thread,$(SAN)),build-tsan,build-asan),build)
# A make below this one shares its jobs.
ifeq ($(MAKELEVEL),0)
MAKEFLAGS += --jobs=$(or $(JOBS),$(shell nproc))
endif
MAKEFLAGS += --no-print-directory

WARN = -Wall -Wextra -Wshadow -Wpointer-arith -Wstrict-prototypes -Wmissing-prototypes -Wno-unused-parameter -Werror
CFLAGS = -std=gnu11 $(OPT) -g -msse4.2 -fno-omit-frame-pointer $(WARN) -I. -Iinclude $(DEFS) \
	$(if $(SAN),-fsanitize=$(SAN) -fno-sanitize-recover=all)
LDFLAGS = $(if $(SAN),-fsanitize=$(SAN)) -pthread -Wl,--as-needed
LIBS = -llmdb -lmsgpackc -levent -ljansson -lcsv -linih -lz

# One short line per command; V=1 shows them whole.
say = $(if $(V),$(1),@echo "  $(notdir $(1)) $(notdir $(patsubst $(B)/%,%,$@))"; $(1))

# ---- what is built from what -------------------------------------------------------------------------------------

core_src := $(wildcard core/*.c)
persist_src := $(wildcard persist/*.c)
gate_src := $(wildcard net/gate*.c)
client_src := $(wildcard net/client*.c)
server_src := $(filter-out $(gate_src) $(client_src),$(wildcard net/*.c))
# The client stands on these files of the server side; they are in both archives.
shared_src := $(wildcard net/scanner*.c net/buffer*.c net/codec*.c net/pack*.c net/value*.c net/clock*.c)
cmd_mains := $(wildcard cmd/holdfastd.c cmd/holdfast.c cmd/holdfast-gate.c cmd/holdfast_gate.c cmd/gate.c cmd/holdfast-bench.c)
cmd_src := $(filter-out $(cmd_mains),$(wildcard cmd/*.c))
test_mains := $(wildcard tests/test_*.c)
tests_src := $(filter-out $(test_mains),$(wildcard tests/*.c))
# A main in bench is a file whose name does not continue that of another one: retail_day.c is a main, retail_day_x.c a part.
bench_parts := $(wildcard bench/retail_day_*.c bench/load_*.c bench/micro_*.c bench/scale_*.c bench/overload_*.c)
rehearse_src := $(wildcard bench/rehearse*.c)
# It replays files as the demo does.
rehearse_borrows := bench/retail_day_file.c bench/retail_day_make.c
bench_mains := $(filter-out $(bench_parts) $(rehearse_src),$(wildcard bench/*.c))

obj = $(patsubst %.c,$(B)/%.o,$(1))
# The rehearsal tool's parts, for its main and its test. It starts servers with tests/spawn.
rehearse_archive := $(if $(rehearse_src),$(B)/librehearse.a)
archives := $(if $(core_src),$(B)/libcore.a) $(if $(persist_src),$(B)/libpersist.a) $(if $(client_src),$(B)/libholdfast.a) \
	$(if $(gate_src),$(B)/libgate.a) $(if $(server_src),$(B)/libserver.a) $(if $(cmd_src),$(B)/libcmd.a)
programs := $(if $(wildcard cmd/holdfastd.c),$(B)/holdfastd) $(if $(wildcard cmd/holdfast.c),$(B)/holdfast) \
	$(if $(wildcard cmd/holdfast-bench.c),$(B)/holdfast-bench) $(if $(wildcard cmd/holdfast-gate.c cmd/holdfast_gate.c cmd/gate.c),$(B)/holdfast-gate)
examples := $(patsubst include/holdfast/%.c,$(B)/%,$(wildcard include/holdfast/examples/*.c))
benches := $(patsubst bench/%.c,$(B)/holdfast-%,$(bench_mains))
tests := $(patsubst tests/%.c,$(B)/tests/%,$(test_mains))
# Archives lean on each other, so they are searched as one group. The gate's is apart: nanomsg never goes into holdfastd.
inner := $(filter-out $(B)/libgate.a,$(archives))
group = -Wl,--start-group $(filter %.a,$^) -Wl,--end-group

.PHONY: all programs test-programs packages check-packages
all: programs $(benches) $(examples) ## build holdfastd, holdfast-gate, holdfast, the benches and the client's examples into build/
programs: $(programs) $(archives)
test-programs: programs $(tests) $(benches) $(examples) ## build every test program, too

$(B)/libcore.a: $(call obj,$(core_src))
$(B)/libpersist.a: $(call obj,$(persist_src))
$(B)/libholdfast.a: $(call obj,$(client_src) $(shared_src))
$(B)/libgate.a: $(call obj,$(gate_src))
$(B)/libserver.a: $(call obj,$(server_src))
$(B)/libcmd.a: $(call obj,$(cmd_src))
$(B)/librehearse.a: $(call obj,$(rehearse_src) $(rehearse_borrows))
$(B)/libtests.a: $(call obj,$(tests_src))
$(B)/%.a:
	@rm -f $@
	$(call say,ar) rcs $@ $^

$(B)/holdfastd: $(B)/cmd/holdfastd.o $(inner)
	$(call say,$(CC)) $(LDFLAGS) -o $@ $(filter %.o,$^) $(group) $(LIBS)
$(B)/holdfast: $(B)/cmd/holdfast.o $(archives)
	$(call say,$(CC)) $(LDFLAGS) -o $@ $(filter %.o,$^) $(group) $(LIBS) -lnanomsg
$(B)/holdfast-gate: $(call obj,$(wildcard cmd/holdfast-gate.c cmd/holdfast_gate.c cmd/gate.c)) $(archives)
	$(call say,$(CC)) $(LDFLAGS) -o $@ $(filter %.o,$^) $(group) $(LIBS) -lnanomsg
$(B)/holdfast-bench: $(B)/cmd/holdfast-bench.o $(rehearse_archive) $(B)/libtests.a $(archives)
	$(call say,$(CC)) $(LDFLAGS) -o $@ $(filter %.o,$^) $(group) $(LIBS) -lnanomsg -lm
$(B)/holdfast-retail_day: $(call obj,$(wildcard bench/retail_day_*.c))
$(B)/holdfast-load: $(call obj,$(wildcard bench/load_*.c))
$(B)/holdfast-micro: $(call obj,$(wildcard bench/micro_*.c))
$(B)/holdfast-overload: $(call obj,$(wildcard bench/overload_*.c))
$(B)/holdfast-scale: $(call obj,$(wildcard bench/scale_*.c))
# The report's page is built into the program, with the library that draws its plots. (own: flags of one object.)
CHART_JS ?= /usr/share/javascript/chart.js/chart.min.js
$(B)/bench/rehearse_page.o: private own = -DPAGE_CHART_JS='"$(CHART_JS)"'
$(B)/bench/rehearse_page.o: $(wildcard bench/page/*) $(wildcard $(CHART_JS))
# What a program outside needs, and no more.
$(examples): $(B)/examples/%: $(B)/include/holdfast/examples/%.o $(B)/libholdfast.a
	@mkdir -p $(@D)
	$(call say,$(CC)) $(LDFLAGS) -o $@ $^ -lmsgpackc -llmdb
$(benches): $(B)/holdfast-%: $(B)/bench/%.o $(if $(tests_src),$(B)/libtests.a) $(archives)
	$(call say,$(CC)) $(LDFLAGS) -o $@ $(filter %.o,$^) $(group) $(LIBS) -lnanomsg -lm
$(tests): $(B)/tests/%: $(B)/tests/%.o $(rehearse_archive) $(if $(tests_src),$(B)/libtests.a) $(archives)
	$(call say,$(CC)) $(LDFLAGS) -o $@ $(filter %.o,$^) $(group) $(LIBS) -lnanomsg -lm

# gcc clears structs with `rep stos`, whose start alone costs more than the stores: those of a result in 18 ns instead of 6.
$(call obj,$(core_src)): private own = $(if $(findstring clang,$(CC)),,-mmemset-strategy=vector_loop:512:noalign,libcall:-1:noalign)
# Another compiler or other flags make everything anew: the stamp changes only when they do. (ccache changes nothing.) `force` must be
# phony: .SECONDARY would let make pass over a file that is not there, and the stamp with it.
flags := $(filter-out ccache,$(CC)) $(CFLAGS) $(LDFLAGS)
$(B)/flags: force
	@mkdir -p $(B)
	@echo '$(flags)' | cmp -s - $@ || echo '$(flags)' >$@
.PHONY: force
force:
$(B)/%.o: %.c $(B)/flags | check-packages
	@mkdir -p $(@D)
	$(call say,$(CC)) $(CFLAGS) $(own) -MMD -MP -c -o $@ $<
-include $(wildcard $(B)/*/*.d $(B)/include/holdfast/examples/*.d)
.SECONDARY:

# ---- packages ----------------------------------------------------------------------------------------------------

check-packages:
	@.ci/packages --check
packages: ## install the Debian packages that are missing (sudo only when not root)
	@.ci/packages

# ---- tasks -------------------------------------------------------------------------------------------------------

.PHONY: help test quick-test run demo rehearse bench-peers load prove-push prove-kill prove-follower prove-real prove-hostile prove clean prove-overload prove-store prove-drain prove-full-disk bench-scale bench-image bench-soak
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: test-packages
test-packages: packages
	@.ci/packages --tests
test: test-packages ## the whole suite: plain, address+undefined, thread; ends with "N passed, N failed"
	@tests/run
quick-test: test-packages ## the suite on the plain build only
	@tests/run plain

run: packages ## start a server on ./data and leave it running, with hints what to try
	@$(MAKE) programs
	@bench/run_server.sh $(B)

demo: packages ## a retail day, a SIGKILL in the middle, a recount; DATA=file.csv[.gz] replays your own
	@$(MAKE) all >$(or $(TMPDIR),/tmp)/holdfast-build.$$$$ 2>&1 || { cat $(or $(TMPDIR),/tmp)/holdfast-build.$$$$; exit 1; }
	@$(B)/holdfast-retail_day $(if $(DATA),-d $(DATA))

SCENARIO ?= flash-sale
rehearse: packages ## rehearse SCENARIO=flash-sale (a shipped one's name or a file) on a server of its own; the report in build/SCENARIO.html
	@$(MAKE) programs
	@$(B)/holdfast-bench run $(SCENARIO) --page $(B)/$(basename $(notdir $(SCENARIO))).html
load: all ## load a running server (LOAD="--server 127.0.0.1:7400 --connections 50 --in-flight 128 --seconds 10")
	@$(B)/holdfast-load $(LOAD)
CELLS ?= 10000 1000000 10000000 100000000
bench-scale: all ## memory, rate, restart and image at CELLS="10000 1000000 10000000 100000000"; SECONDS=10 of load; 24 GB, half an hour
	@bench/scale.sh sizes $(B) $(or $(SECONDS),10) $(CELLS)
bench-image: all ## latency of a durable reserve with and without the image being written: ROUNDS=3, SECONDS=10 each
	@bench/scale.sh image $(B) $(if $(filter file,$(origin ROUNDS)),3,$(ROUNDS)) $(or $(SECONDS),10)
SOAK_S ?= 1200
SOAK_RATE ?= 200000
bench-soak: all ## SOAK_S=1200 seconds of SOAK_RATE=200000 commands a second that close what they open: does anything grow?
	@bench/scale.sh soak $(B) $(SOAK_S) $(SOAK_RATE)
bench-peers: ROUNDS := 3
bench-peers: SECONDS := 4
bench-peers: all ## beside Redis, PostgreSQL, Tarantool, in turn: ROUNDS=3 of SECONDS=4; ROWS="u1 r1" for some, INTO=folder to leave RESULTS.md and README alone
	@bench/peers.sh --build $(B) --rounds $(ROUNDS) --seconds $(SECONDS) $(if $(ROWS),--rows "$(ROWS)") $(if $(INTO),--into $(INTO))

# ---- manual, completion, install ---------------------------------------------------------------------------------
# Pages and completion come out of the tables of options that the programs read.

PREFIX ?= /usr/local
DESTDIR ?=
BINDIR ?= $(PREFIX)/bin
LIBDIR ?= $(PREFIX)/lib
INCLUDEDIR ?= $(PREFIX)/include
DATADIR ?= $(PREFIX)/share

pages := $(B)/man/holdfast.1 $(B)/man/holdfast-bench.1 $(B)/man/holdfastd.8 $(B)/man/holdfast-gate.8
completions := $(addprefix $(B)/completion/,holdfast holdfastd holdfast-gate holdfast-bench _holdfast)
# What goes where.
installed = $(addsuffix :$(BINDIR):755,$(B)/holdfastd $(B)/holdfast-gate $(B)/holdfast $(B)/holdfast-bench) \
	$(addsuffix :$(DATADIR)/man/man1:644,$(B)/man/holdfast.1 $(B)/man/holdfast-bench.1) $(B)/man/holdfastd.8:$(DATADIR)/man/man8:644 \
	$(B)/man/holdfast-gate.8:$(DATADIR)/man/man8:644 \
	$(addsuffix :$(DATADIR)/bash-completion/completions:644,$(filter-out %/_holdfast,$(completions))) \
	$(B)/completion/_holdfast:$(DATADIR)/zsh/site-functions:644 \
	$(addsuffix :$(INCLUDEDIR)/holdfast:644,$(wildcard include/holdfast/*.h)) $(B)/libholdfast.a:$(LIBDIR):644 \
	$(addsuffix :$(DATADIR)/holdfast/scenarios:644,$(wildcard bench/scenarios/*.ini)) $(B)/holdfast.pc:$(LIBDIR)/pkgconfig:644 $(addsuffix :$(DATADIR)/doc/holdfast:644,README.md net/PROTOCOL.md net/GATE.md)

$(B)/man/%.1 $(B)/man/%.8: $(B)/holdfast
	@mkdir -p $(@D)
	@$(B)/holdfast man $* >$@
$(B)/completion/_holdfast: $(B)/holdfast
	@mkdir -p $(@D)
	@$(B)/holdfast completion zsh >$@
$(B)/completion/%: $(B)/holdfast
	@mkdir -p $(@D)
	@$(B)/holdfast completion bash >$@
# Written anew each time: PREFIX may be another one.
$(B)/holdfast.pc: $(B)/holdfast force
	@printf '%s\n' 'prefix=$(PREFIX)' 'libdir=$(LIBDIR)' 'includedir=$(INCLUDEDIR)' '' 'Name: holdfast' \
		'Description: the C client of Holdfast, the available-to-sell engine' "Version: $$($(B)/holdfast --version | cut -d' ' -f2)" \
		'Libs: -L$${libdir} -lholdfast -lmsgpackc' 'Cflags: -I$${includedir}' >$@

.PHONY: man install uninstall
man: $(pages) $(completions) ## the manual and the shells' completion, in build/man and build/completion
install: programs man $(B)/holdfast.pc ## programs, manual, completion, header, library: PREFIX=/usr/local, DESTDIR=
	@for item in $(installed); do \
		IFS=: read -r from folder mode <<<"$$item"; \
		install -D -m "$$mode" "$$from" "$(DESTDIR)$$folder/$${from##*/}" || exit 1; \
	done
	@echo "installed under $(DESTDIR)$(PREFIX)"
uninstall: ## remove what 'make install' with the same PREFIX put there
	@for item in $(installed); do \
		IFS=: read -r from folder mode <<<"$$item"; \
		rm -f "$(DESTDIR)$$folder/$${from##*/}"; \
	done
	@for folder in $(INCLUDEDIR)/holdfast $(DATADIR)/doc/holdfast $(DATADIR)/holdfast/scenarios $(DATADIR)/holdfast; do \
		[[ ! -d "$(DESTDIR)$$folder" ]] || rmdir --ignore-fail-on-non-empty "$(DESTDIR)$$folder"; \
	done

ROUNDS ?= 500
prove-kill: test-programs ## kill -9 at random moments under load, ROUNDS=500 times
	@HOLDFAST_ROUNDS=$(ROUNDS) $(B)/tests/test_kill
prove-overload: all ## ten times the load it can take: 3 rounds, SECONDS=10 of each phase, judged
	@$(B)/holdfast-overload $(SECONDS)
CHANGES ?= 10000000
prove-follower: test-programs ## a follower under CHANGES=10000000 changes, kills on both sides; a slow one beside it
	@HOLDFAST_CHANGES=$(CHANGES) $(B)/tests/test_follower
EVENTS ?= 300000
prove-push: test-programs ## EVENTS=300000 pushed while the gate is killed: position finds every lost one, sending again repairs it
	@HOLDFAST_PUSH_EVENTS=$(EVENTS) $(B)/tests/test_push
prove-real: test-programs ## the whole real data (HOLDFAST_DATA=folder) through the gate, against its oracle
	@tests/test_real_data.sh whole
DAYS ?= 90
prove-store: test-programs ## three stores with spooling gates, DAYS=90 of real sales (HOLDFAST_DATA=folder), the server away 8 hours at a time, kills
	@HOLDFAST_DAYS=$(DAYS) $(B)/tests/test_store_offline
BACKLOG ?= 1000000
LIVE ?= 5000
prove-drain: all ## a store's BACKLOG=1000000 events delivered beside LIVE=5000 live events a second, judged
	@$(B)/holdfast-drain $(BACKLOG) $(LIVE)
prove-full-disk: all ## a server and a spooling gate on a disk that fills up under load and gets room again: the documented answers, nothing lost
	@$(B)/holdfast-full_disk
SECONDS_EACH ?= 4
prove-hostile: test-programs ## bad neighbours at every door: a good client's p99 beside each, SECONDS_EACH=4 quiet and loud in turn, 5 rounds (rows of 1 s: 25 minutes)
	@HOLDFAST_HOSTILE_SECONDS=$(SECONDS_EACH) $(B)/tests/test_hostile
prove: prove-kill prove-push prove-store prove-follower prove-real prove-hostile prove-full-disk ## all of these but the timed ones (overload, drain)

clean: ## remove what was built
	rm -rf build build-asan build-tsan
