/*
 * test_store_offline.c: three stores whose gates have spools, and a server that is away for eight hours of each day. The sales are a real
 * city's ("FreshRetailNet-50K", fresh_city12.csv.gz in $HOLDFAST_DATA or beside the checkout; else a generated city, and it says so): the
 * three stores that sell most, four tills each, hour by hour as the events' own instants have it.
 *
 * Each day the server is killed at an hour of its own and comes back eight hours later; gates are killed (SIGKILL) at random moments,
 * often while they write what a till waits for; the server is killed again in the middle of some deliveries. A till that gets no
 * answer sends the same events again. In the end
 *
 *   - every till's position has no gaps: contiguous = highest = how many it sold
 *   - each cell's on hand is the plain sum of its sales, so each was applied exactly once
 *   - the sales of each till were applied in order: their positions in the log ascend with their numbers
 *
 * HOLDFAST_DAYS=N days (2; up to 90); HOLDFAST_SEED=N.
 */
#define _GNU_SOURCE
#include "tests/check.h"

#include <glob.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>
#include <zlib.h>

#include "holdfast/holdfast.h"
#include "net/clock.h"
#include "net/codec_write.h"
#include "tests/gate_rig.h"
#include "tests/spawn.h"
#include "tests/wire_text.h"

#define STORES       3
#define TILLS        4
#define HOURS_AWAY   8
#define DAYS_MAX     90
#define PLACES_MAX   256
#define SKUS_MAX     1024
#define SALES_MAX    400000
#define MESSAGE_MAX  20 /* sales in one message */
#define CALL_MS      20000
#define BACKLOG_MS   20000 /* for the last delivery */

struct sale {
	int64_t at;
	uint16_t sku, place;
	int32_t qty; /* hundredths of a unit */
};

static struct {
	char skus[SKUS_MAX][16], places[PLACES_MAX][16];
	uint32_t skus_n, places_n;
	struct sale sales[SALES_MAX]; /* by instant */
	uint32_t sales_n;
	bool real;
} city;

struct till {
	char source[32];
	uint64_t n; /* acknowledged */
};

struct store {
	struct gate_process gate;
	char spool[300];
	int line; /* to the gate; -1 */
	uint32_t number; /* of the last request */
	uint16_t place;
	struct till tills[TILLS];
};

static struct server server;
static struct store stores[STORES];
static uint16_t rpc;
static int64_t sums[STORES][SKUS_MAX];
static struct { uint32_t messages, again, gate_kills, server_kills; uint64_t at_kill, backlog_max; } did;
static uint64_t seed;

static uint32_t
draw(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 33) % below;
}

/* ---- the city ---- */

static uint32_t
name_number(char names[][16], uint32_t *n, uint32_t max, const char *name)
{
	uint32_t i = 0;
	while (i < *n && strcmp(names[i], name) != 0)
		i++;
	if (i == *n && *n < max)
		snprintf(names[(*n)++], 16, "%s", name);
	return i;
}

/* Days since 1970 of a date (Howard Hinnant's formula). */
static int64_t
days_of(int y, int m, int d)
{
	y -= m <= 2;
	int era = y / 400, of_era = y - era * 400;
	int day = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	return (int64_t)era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + day - 719468;
}

/* ts,sku,loc,qty,disc,kind with the hour as ts. False: no sale. */
static bool
row_read(const char *line, struct sale *sale)
{
	int y, m, d, h;
	char sku[16], place[16], kind[16];
	double qty, discount;
	if (sscanf(line, "%d-%d-%dT%d:00,%15[^,],%15[^,],%lf,%lf,%15[a-z_]", &y, &m, &d, &h, sku, place, &qty, &discount, kind) != 9
	    || strcmp(kind, "sale") != 0)
		return false;
	*sale = (struct sale){ .at = (days_of(y, m, d) * 24 + h) * 3600000, .sku = (uint16_t)name_number(city.skus, &city.skus_n, SKUS_MAX, sku),
		.place = (uint16_t)name_number(city.places, &city.places_n, PLACES_MAX, place), .qty = (int32_t)(qty * 100 + .5) };
	return sale->qty > 0 && sale->sku < SKUS_MAX && sale->place < PLACES_MAX;
}

/* The three places that sell most in the first days, and only their sales. */
static void
stores_choose(uint32_t sold[PLACES_MAX])
{
	for (int s = 0; s < STORES; s++) {
		uint32_t best = 0;
		for (uint32_t p = 1; p < city.places_n; p++)
			if (sold[p] > sold[best])
				best = p;
		sold[best] = 0;
		stores[s].place = (uint16_t)best;
	}
}

static bool
is_chosen(const struct sale *sale)
{
	for (int s = 0; s < STORES; s++)
		if (stores[s].place == sale->place)
			return true;
	return false;
}

static gzFile
data_open(void)
{
	char path[512];
	glob_t found;
	const char *folder = getenv("HOLDFAST_DATA");
	snprintf(path, sizeof path, "%s/fresh_city12.csv.gz", folder ? folder : "");
	if (folder && access(path, R_OK) == 0)
		return gzopen(path, "rb");
	if (glob("../*/data/fresh_city12.csv.gz", 0, NULL, &found) != 0)
		return NULL;
	gzFile file = gzopen(found.gl_pathv[0], "rb");
	globfree(&found);
	return file;
}

/* Twice: once to see who sells most on the first day, once to take their sales. */
static void
city_read(gzFile file, int days)
{
	char line[256];
	struct sale sale;
	uint32_t sold[PLACES_MAX] = { 0 };
	int64_t first = 0;
	city.real = true;
	while (gzgets(file, line, sizeof line))
		if (row_read(line, &sale)) {
			first = first ? first : sale.at;
			if (sale.at >= first + 86400000)
				break;
			sold[sale.place]++;
		}
	stores_choose(sold);
	gzrewind(file);
	while (gzgets(file, line, sizeof line) && city.sales_n < SALES_MAX) {
		if (!row_read(line, &sale))
			continue;
		if (sale.at >= first + days * INT64_C(86400000))
			break;
		if (is_chosen(&sale))
			city.sales[city.sales_n++] = sale;
	}
	gzclose(file);
}

/* The same shape: some 300 sales a store and day, most of them between 7 and 20 o'clock. */
static void
city_make(int days)
{
	char name[16];
	for (uint32_t i = 0; i < 299; i++) {
		snprintf(name, sizeof name, "P%u", i);
		name_number(city.skus, &city.skus_n, SKUS_MAX, name);
	}
	for (int s = 0; s < STORES; s++) {
		snprintf(name, sizeof name, "S%d", s);
		stores[s].place = (uint16_t)name_number(city.places, &city.places_n, PLACES_MAX, name);
	}
	for (int64_t hour = 0; hour < days * 24; hour++)
		for (uint32_t i = hour % 24 >= 7 && hour % 24 <= 20 ? 60 : 10; i > 0; i--)
			city.sales[city.sales_n++] = (struct sale){ .at = INT64_C(1711584000000) + hour * 3600000, .sku = (uint16_t)draw(299),
				.place = stores[draw(STORES)].place, .qty = 1 + (int32_t)draw(300) };
}

/* ---- processes ---- */

static bool
server_up(void)
{
	char listen[32];
	const char *arguments[] = { "--gate", "off", "--http", "off", rpc ? "--listen" : NULL, listen, NULL };
	struct why why = { "" };
	snprintf(listen, sizeof listen, "127.0.0.1:%u", rpc);
	if (server_start(&server, arguments, &why) < 0) {
		printf("     %s\n", why.text);
		return false;
	}
	rpc = server.rpc;
	return true;
}

static bool
gate_up(struct store *s)
{
	char where[32], events[32];
	snprintf(where, sizeof where, "127.0.0.1:%u", rpc);
	snprintf(events, sizeof events, "127.0.0.1:%u", s->gate.ports[DOOR_EVENTS]);
	return rig_start_with(&s->gate,
	    (const char *[]){ "--server", where, "--events", events, "--push", "off", "--feed", "off", "--spool", s->spool, NULL });
}

static bool
gate_kill(struct store *s)
{
	rig_end(&s->gate, SIGKILL);
	if (s->line >= 0)
		close(s->line);
	s->line = -1;
	did.gate_kills++;
	return gate_up(s);
}

/* ---- selling ---- */

static void
put_sale(struct buffer *b, const struct till *till, uint64_t n, const struct sale *sale)
{
	put_map(b, 8);
	put_text(b, "v"), put_int(b, 1);
	put_text(b, "source"), put_text(b, till->source);
	put_text(b, "n"), put_uint(b, n);
	put_text(b, "kind"), put_text(b, "sale");
	put_text(b, "sku"), put_text(b, city.skus[sale->sku]);
	put_text(b, "location"), put_text(b, city.places[sale->place]);
	put_text(b, "qty"), put_int(b, sale->qty);
	put_text(b, "at"), put_int(b, sale->at);
}

/* Sends until it is answered; the gate may be killed between the two. */
static bool
message_deliver(struct store *s, const struct buffer *message)
{
	uint8_t body[512];
	uint32_t word;
	for (int tries = 0; tries < 100; tries++) {
		s->line = s->line >= 0 ? s->line : till_open(s->gate.ports[DOOR_EVENTS]);
		if (s->line < 0 || !till_send(s->line, ++s->number | REQUEST_BIT, message->at, message->used))
			return false;
		did.messages++;
		if (draw(25) == 0) {
			/* At a random moment of its work, perhaps after the answer; which is not read. */
			struct pollfd answer = { .fd = s->line, .events = POLLIN };
			struct timespec moment = { 0, draw(3000) * 1000 };
			ppoll(&answer, 1, &moment, NULL);
			did.again++;
			if (!gate_kill(s))
				return false;
			continue;
		}
		int64_t n = till_receive(s->line, &word, body, sizeof body);
		if (n < 9 || word != (s->number | REQUEST_BIT) || memcmp(body, "\x81\xa6queued\x92", 9) != 0) {
			printf("     a till was answered %" PRIi64 " bytes that are not {queued: [first, last]}\n", n);
			return false;
		}
		return true;
	}
	return false;
}

/* The sales of one till among these; in messages of up to MESSAGE_MAX. */
static bool
till_sell(struct store *s, uint32_t t, const struct sale *sales, uint32_t n)
{
	struct till *till = &s->tills[t];
	uint32_t from = 0;
	while (from < n) {
		struct buffer b = { 0 };
		uint32_t chosen[MESSAGE_MAX], count = 0, most = 1 + draw(MESSAGE_MAX);
		for (; from < n && count < most; from++)
			if (sales[from].place == s->place && sales[from].sku % TILLS == t)
				chosen[count++] = from;
		put_array(&b, count);
		for (uint32_t i = 0; i < count; i++)
			put_sale(&b, till, till->n + i + 1, &sales[chosen[i]]);
		bool done = count == 0 || message_deliver(s, &b);
		buffer_fini(&b);
		if (!done)
			return false;
		till->n += count;
		for (uint32_t i = 0; i < count; i++)
			sums[s - stores][sales[chosen[i]].sku] -= sales[chosen[i]].qty;
	}
	return true;
}

/* ---- asking the server ---- */

static struct hf *
server_ask(void)
{
	struct hf_failure failure;
	struct hf *hf = hf_connect("127.0.0.1", rpc, CALL_MS, &failure);
	if (!hf)
		printf("     %s\n", failure.message);
	return hf;
}

static bool
position_of(struct hf *hf, const char *source, int64_t *contiguous, int64_t *highest, uint32_t *gaps)
{
	const struct hf_value *value;
	hf_begin(hf, "position");
	hf_array(hf, 1);
	hf_put_str(hf, source);
	if (hf_call(hf, &value) != HF_OK)
		return false;
	*contiguous = hf_int(hf_get(value, "contiguous"), -1);
	*highest = hf_int(hf_get(value, "highest"), -1);
	*gaps = hf_get(value, "missing")->array.n;
	return true;
}

/* How many of all sales are there. */
static uint64_t
sales_there(struct hf *hf)
{
	uint64_t there = 0;
	int64_t contiguous = 0, highest = 0;
	uint32_t gaps;
	for (int s = 0; s < STORES; s++)
		for (int t = 0; t < TILLS; t++)
			there += position_of(hf, stores[s].tills[t].source, &contiguous, &highest, &gaps) ? (uint64_t)contiguous : 0;
	return there;
}

static uint64_t
sales_acknowledged(void)
{
	uint64_t n = 0;
	for (int s = 0; s < STORES; s++)
		for (int t = 0; t < TILLS; t++)
			n += stores[s].tills[t].n;
	return n;
}

static void
positions_judge(struct hf *hf)
{
	int64_t contiguous, highest;
	uint32_t gaps;
	for (int s = 0; s < STORES; s++)
		for (int t = 0; t < TILLS; t++) {
			const struct till *till = &stores[s].tills[t];
			check(position_of(hf, till->source, &contiguous, &highest, &gaps));
			check_equal(contiguous, till->n);
			check_equal(highest, till->n);
			check_equal(gaps, 0);
		}
}

static void
sums_judge(struct hf *hf)
{
	const struct hf_value *value;
	for (int s = 0; s < STORES; s++)
		for (uint32_t i = 0; i < city.skus_n; i++) {
			struct hf_line cell = { city.skus[i], city.places[stores[s].place], 1 };
			if (sums[s][i] == 0)
				continue;
			check(hf_stock(hf, &cell, 1, &value) == HF_OK);
			check_equal(hf_int(hf_get(&value->array.items[1].array.items[0], "on_hand"), 1), sums[s][i]);
		}
}

/* Of the last sales of each till, whose outcomes the server still knows. */
static void
order_judge(struct hf *hf)
{
	for (int s = 0; s < STORES; s++)
		for (int t = 0; t < TILLS; t++) {
			const struct till *till = &stores[s].tills[t];
			const struct hf_value *value;
			int64_t before = 0;
			for (uint64_t n = till->n > 500 ? till->n - 500 : 1; n <= till->n; n++) {
				check(hf_outcome_of_event(hf, till->source, n, &value) == HF_OK);
				int64_t seq = hf_int(hf_get(value, "seq"), 0);
				if (seq <= before)
					printf("     %s: %" PRIu64 " is at %" PRIi64 ", the one before at %" PRIi64 "\n", till->source, n, seq, before);
				check(seq > before);
				before = seq;
			}
		}
}

/* ---- the days ---- */

static void
hour_play(const struct sale *sales, uint32_t n)
{
	for (uint32_t t = 0; t < TILLS; t++)
		for (int s = 0; s < STORES; s++)
			if (!till_sell(&stores[s], t, sales, n))
				check(!"a till could not sell");
}

/* Back after eight hours; sometimes killed again while the stores deliver. */
static void
server_back(void)
{
	uint64_t waits = sales_acknowledged() - did.at_kill;
	did.backlog_max = waits > did.backlog_max ? waits : did.backlog_max;
	check(server_up());
	if (draw(2))
		return;
	server_kill(&server);
	did.server_kills++;
	check(server_up());
}

static void
days_play(void)
{
	uint32_t from = 0;
	int64_t away_from = -1;
	while (from < city.sales_n) {
		int64_t hour = city.sales[from].at / 3600000;
		uint32_t n = from;
		while (n < city.sales_n && city.sales[n].at / 3600000 == hour)
			n++;
		if (away_from >= 0 && hour >= away_from + HOURS_AWAY) {
			server_back();
			check_calm();
			away_from = -1;
		}
		if (away_from < 0 && hour % 24 >= 7 && hour % 24 <= 15 && draw(4) == 0) {
			server_kill(&server);
			did.server_kills++;
			did.at_kill = sales_acknowledged();
			away_from = hour;
		}
		hour_play(&city.sales[from], n - from);
		check_calm();
		from = n;
	}
	if (server.pid == 0)
		server_back();
}

static void
stores_open(void)
{
	struct why why = { "" };
	check(server_init(&server, &why) == 0);
	check(server_up());
	for (int s = 0; s < STORES; s++) {
		snprintf(stores[s].spool, sizeof stores[s].spool, "%s/spool-%d", server.folder, s);
		for (int t = 0; t < TILLS; t++)
			snprintf(stores[s].tills[t].source, sizeof stores[s].tills[t].source, "%s-till-%d", city.places[stores[s].place], t);
		stores[s].line = -1;
		check(gate_up(&stores[s]));
	}
}

static void
stores_close(void)
{
	char command[400];
	for (int s = 0; s < STORES; s++) {
		if (stores[s].line >= 0)
			close(stores[s].line);
		if (stores[s].gate.pid)
			rig_end(&stores[s].gate, SIGKILL);
		snprintf(command, sizeof command, "rm -rf '%s'", stores[s].spool);
		if (stores[s].spool[0] && system(command) != 0)
			printf("     cannot remove %s\n", stores[s].spool);
	}
	server_remove(&server);
}

/* What the gates say of themselves, for who looks for the reason of a failure. */
static void
gates_tell(void)
{
	static const char status[] = "\x82\xa1v\x01\xa3" "ask\xa6status";
	static uint8_t body[8192];
	uint32_t word;
	for (int s = 0; s < STORES; s++) {
		struct pollfd said = { .fd = stores[s].gate.errors, .events = POLLIN };
		ssize_t said_n = poll(&said, 1, 0) > 0 ? read(said.fd, body, sizeof body - 1) : 0;
		printf("     gate %d said: %.*s\n", s, (int)said_n, (const char *)body);
		int line = till_open(stores[s].gate.ports[DOOR_EVENTS]);
		int64_t n = line >= 0 && till_send(line, 1 | REQUEST_BIT, status, sizeof status - 1) ? till_receive(line, &word, body, sizeof body) : -1;
		printf("     gate %d: %s\n", s, n > 0 ? wire_to_text(body, (size_t)n) : "does not answer");
		close(line);
	}
}

static void
play_and_judge(void)
{
	int64_t end_ms;
	struct hf *hf;
	stores_open();
	check_calm();
	days_play();
	check_calm();
	check((hf = server_ask()));
	for (end_ms = clock_steady_ms() + BACKLOG_MS; sales_there(hf) < sales_acknowledged() && clock_steady_ms() < end_ms;)
		poll(NULL, 0, 10);
	positions_judge(hf);
	if (!check_failed_now)
		sums_judge(hf);
	if (!check_failed_now)
		order_judge(hf);
	hf_close(hf);
}

static void
three_stores_lose_nothing_while_the_server_is_away_and_gates_are_killed(void)
{
	const char *asked = getenv("HOLDFAST_DAYS");
	int days = asked ? atoi(asked) : 2;
	gzFile file = data_open();
	days = days < 1 ? 1 : days > DAYS_MAX ? DAYS_MAX : days;
	seed = check_seed(1) * UINT64_C(0x9e3779b97f4a7c15);
	if (file)
		city_read(file, days);
	else
		city_make(days);
	printf("     %s, %d days: %u sales of 3 stores\n", city.real ? "data: FreshRetailNet-50K, one city" : "data: a generated city (no real data)", days,
	    city.sales_n);
	check(city.sales_n > 100);
	play_and_judge();
	if (check_failed_now)
		gates_tell();
	stores_close();
	printf("     %" PRIu64 " sales acknowledged in %u messages, %u of them sent again; gates killed %u times, the server %u times; up to %" PRIu64
	    " sales were taken in one absence\n", sales_acknowledged(), did.messages, did.again, did.gate_kills, did.server_kills, did.backlog_max);
	check_equal(sales_acknowledged(), city.sales_n);
	check(did.gate_kills > 5 && did.server_kills > 0 && did.backlog_max > 100);
}

int
main(int argc, char **argv)
{
	static const struct check tests[] = {
		CHECK(three_stores_lose_nothing_while_the_server_is_away_and_gates_are_killed),
	};
	return check_run("tests/test_store_offline", tests, sizeof tests / sizeof tests[0], argc, argv);
}
