/*
 * retail_day.h: the demo's parts. A day is made (or read from a file), played against a server, and judged.
 *
 *   retail_day.c            the programme: phases, the kill, what is printed
 *   retail_day_make.c       a generated day
 *   retail_day_file.c       a day from a CSV file
 *   retail_day_tills.c      tills and warehouses: stock events through the gate (one thread)
 *   retail_day_checkout.c   checkouts: baskets over RPC, pipelined (a thread each)
 *   retail_day_recount.c    the judge: every cell from the input by plain sums, every grant in the order of positions
 *
 * The judge uses nothing of the engine: only what was sent, what was answered, and arithmetic.
 */
#ifndef HOLDFAST_BENCH_RETAIL_DAY_H
#define HOLDFAST_BENCH_RETAIL_DAY_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/base.h"
#include "holdfast/holdfast.h"
#include "tests/spawn.h"

#define CHECKOUTS 2 /* threads, a connection each */
#define BASKET_LINES_MAX 100 /* the protocol's bound of a reservation */
#define ABANDON_TTL_MS 900
#define GROUP_NAME "everywhere"

enum fact_kind { FACT_RECEIPT, FACT_SALE, FACT_RETURN, FACT_ADJUST, FACT_COUNT, FACT_KINDS };
enum fact_outcome { FACT_UNANSWERED, FACT_APPLIED, FACT_ABSORBED, FACT_REJECTED };

struct fact {
	int64_t at; /* ms; of a count, its as-of */
	double due; /* when in the play, 0..1 */
	uint64_t n; /* of its source, from 1 */
	uint64_t seq; /* where it stands, once answered */
	uint32_t cell;
	int32_t qty; /* adjust: signed */
	uint32_t source;
	uint8_t kind, outcome;
	bool resent; /* was in a message that was unanswered at the kill */
};

/* What the shopper will do once the hold is granted. */
enum fate { FATE_SHIP, FATE_LEAVE_COMMITTED, FATE_CANCEL_ORDER, FATE_CANCEL_CART, FATE_ABANDON, FATE_LEAVE_HELD, FATES };
enum basket_state { BASKET_NEW, BASKET_REFUSED, BASKET_HELD, BASKET_COMMITTED, BASKET_FULFILLED, BASKET_RELEASED, BASKET_EXPIRED };

struct basket {
	double due;
	int64_t at; /* ms; of a basket of a file */
	uint32_t line, lines_n; /* in day.lines */
	uint64_t granted_seq; /* 0: not granted */
	uint64_t ended_seq; /* fulfilled or released; expired: worked out by the judge */
	int64_t expires_at, stamp; /* the server's: end of the hold, instant of the grant */
	uint8_t fate, state;
	bool resent; /* some request of it was unanswered at the kill */
};

struct line {
	uint32_t cell;
	int32_t qty;
};

struct cell {
	uint32_t sku, location;
	bool counted; /* a stock-taking concerns it */
};

/* All arrays are the day's own. */
struct day {
	const char *what; /* "generated", or the file's name */
	char (*skus)[NAME_BYTES_MAX + 1];
	char (*locations)[PLACE_BYTES_MAX + 1];
	char (*sources)[PLACE_BYTES_MAX + 1];
	uint64_t *sent_n; /* per source: the last number */
	struct cell *cells;
	struct fact *facts; /* the first `openings` are opening stock; the rest by due */
	struct basket *baskets; /* by due */
	struct line *lines;
	uint32_t skus_n, locations_n, sources_n, cells_n, facts_n, openings, baskets_n, lines_n;
	bool by_clock; /* due follows the hours of the day */
};

/* A generated day. `scale` 1: the usual size. */
void day_make(struct day *, uint64_t seed, double scale);
/* A day from a CSV file (may be gzipped). 0, or -1 with *why. */
int day_read(struct day *, const char *path, struct why *);
/* The same, but all sales are orders: the only facts are returns and adjustments. */
int day_read_orders(struct day *, const char *path, struct why *);
/* Frees what a day has; also one that could not be read. (The demo ends with its process.) */
void day_fini(struct day *);

/* Growing arrays for both: returns the array with room for one more. Ends the program when memory does. */
void *day_grow(void *array, uint32_t used, uint32_t *room, size_t item_bytes);
double day_random(uint64_t *state); /* 0 <= x < 1 */
enum fate day_fate(double random);

/* ---- the play ---- */

/* What the threads share. `lock` guards all of it. */
struct play {
	struct day *day;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	bool up; /* the server may be called */
	uint32_t life; /* counts the server's starts */
	uint16_t rpc, events;
	int64_t began_ns, paused_ns; /* of the play's clock */
	double seconds; /* how long the play lasts */
	uint32_t tills_done, checkouts_done, checkouts_over;
	uint64_t facts_sent, answers;
	uint64_t unanswered_requests, unanswered_events; /* at the kill */
	uint64_t again, anew; /* of them, resent: had happened; happened now */
	double slowest_ms;
	bool failed;
	char failure[600];
};

/* Where the play stands: 0 at its start, >= 1 when everything is due. */
double play_now(struct play *);
/* Waits until the server is up in a later life than `life`; false: the play has failed. Fills ports. */
bool play_await(struct play *, uint32_t *life, uint16_t *rpc, uint16_t *events);
/* The first failure ends the play. */
void play_fail(struct play *, const char *format, ...) __attribute__((format(printf, 2, 3)));

struct checkout {
	struct play *play;
	pthread_t thread;
	uint32_t index; /* takes the baskets with number % CHECKOUTS == index */
	/* counts */
	uint64_t asked, granted, refused, shipped, committed, cancelled, abandoned, left_held;
};
void *checkout_main(void *checkout);
void basket_id(uint32_t basket, char id[24]);

struct tills {
	struct play *play;
	pthread_t thread;
	uint32_t from, to; /* facts */
	bool paced;
	uint64_t applied, duplicates, absorbed, rejected, messages;
};
void *tills_main(void *tills);

/* ---- the verdict ---- */

struct verdict {
	uint64_t cells, differences;
	uint64_t groups, group_differences;
	uint64_t grants, oversold; /* grants that took an ATS below zero */
	uint64_t reservations, reservations_lost; /* unknown, or not in the state that was answered */
	uint64_t sources, facts_lost, facts_more; /* numbers the server does not know; numbers never sent */
	uint64_t misanswered; /* events whose outcome is not the one that the sums give */
	uint64_t doubled; /* cells that differ and were touched by something sent twice */
	int64_t on_hand, reserved, committed, short_cells;
	double seconds;
};
/* Asks the server for everything and compares. 0, or -1 with *why. */
int day_judge(struct day *, uint16_t rpc, struct verdict *, struct why *);

#endif
