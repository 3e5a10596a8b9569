/* rehearse_house.c: the contract is in rehearse_house.h. */
#include "bench/rehearse_house.h"
#include "bench/rehearse_machine.h"
#include "holdfast/holdfast.h"
#include "net/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define CALL_MS 30000
#define AT_ONCE 500 /* cells of a stock request, events of a post */
#define IN_FLIGHT 64
#define CALM_MS 100 /* the clocks' difference, and the end of a hold told by a batch that is under way */
#define ASK_MS 3000 /* what asking may take; tried again when it took longer and a hold ended */
#define TRIES 5
#define SYNCS 50

/* ---- start and end ---- */

static int
address(const char *text, char *host, size_t n, uint16_t *port, struct why *why)
{
	const char *colon = strrchr(text, ':');
	char *end = NULL;
	unsigned long v = colon ? strtoul(colon + 1, &end, 10) : 0;
	if (!colon || colon == text || (size_t)(colon - text) >= n || *end || v == 0 || v > 65535) {
		snprintf(why->text, sizeof why->text, "'%.100s' is not HOST:PORT", text);
		return -1;
	}
	snprintf(host, n, "%.*s", (int)(colon - text), text);
	*port = (uint16_t)v;
	return 0;
}

static void
argument(struct house *h, const char *name, const char *value)
{
	ensure(h->arguments_n + 3 <= HOUSE_ARGUMENTS);
	h->arguments[h->arguments_n++] = name;
	h->arguments[h->arguments_n++] = value;
}

/* Its tables hold the whole run: each shopper may leave a reservation. */
static int
start(struct house *h, const struct scenario *s, struct why *why)
{
	int64_t most = s->shoppers + s->shoppers / 4 + 1000000;
	snprintf(h->loops, sizeof h->loops, "%lld", (long long)s->loops);
	snprintf(h->connections, sizeof h->connections, "%lld", (long long)(s->connections + s->tills + 1000));
	snprintf(h->reservations, sizeof h->reservations, "%lld", (long long)(most > 4000000 ? most : 4000000));
	snprintf(h->extra_lines, sizeof h->extra_lines, "%lld", (long long)(most * 4 > 8000000 ? most * 4 : 8000000));
	argument(h, "--http", "off");
	argument(h, "--gate", s->tills > 0 ? "on" : "off");
	argument(h, "--loops", h->loops);
	argument(h, "--connections-max", h->connections);
	argument(h, "--reservations-max", h->reservations);
	argument(h, "--extra-lines-max", h->extra_lines);
	if (server_init(&h->server, why) < 0)
		return -1;
	h->server.apart = true;
	if (!machine_sync(h->server.folder, SYNCS, h->sync_ms))
		h->sync_ms[0] = -1;
	if (server_start(&h->server, h->arguments, why) < 0) {
		server_remove(&h->server);
		return -1;
	}
	h->target = (struct target){ .host = "127.0.0.1", .rpc = h->server.rpc, .events = h->server.events, .server_pid = h->server.pid };
	return 0;
}

static struct hf *
call(const struct house *h, struct why *why)
{
	struct hf_failure failure;
	struct hf *hf = hf_connect(h->target.host, h->target.rpc, CALL_MS, &failure);
	if (!hf)
		snprintf(why->text, sizeof why->text, "%s", failure.message);
	return hf;
}

static void
version_ask(struct house *h, struct hf *hf)
{
	const struct hf_value *value, *server;
	if (hf_hello(hf, &value) == HF_OK && (server = hf_get(value, "server")) && server->type == HF_STR)
		snprintf(h->version, sizeof h->version, "%.*s", (int)server->str.n, server->str.at);
}

int
house_open(struct house *h, const struct scenario *s, const char *server, const char *events, struct why *why)
{
	char gate_host[128];
	*h = (struct house){ .own = server == NULL, .sync_ms = { -1, -1, -1 } };
	if (h->own && start(h, s, why) < 0)
		return -1;
	if (!h->own && address(server, h->target.host, sizeof h->target.host, &h->target.rpc, why) < 0)
		return -1;
	if (!h->own && events && address(events, gate_host, sizeof gate_host, &h->target.events, why) < 0)
		return -1;
	if (!h->own && s->tills > 0 && !events) {
		snprintf(why->text, sizeof why->text, "this scenario has tills: say where the server's gate is, too (--events HOST:PORT)");
		return -1;
	}
	struct hf *hf = call(h, why);
	if (hf)
		version_ask(h, hf);
	hf_close(hf);
	if (!hf)
		house_close(h);
	return hf ? 0 : -1;
}

void
house_close(struct house *h)
{
	if (h->own) {
		server_stop(&h->server);
		server_remove(&h->server);
	}
	h->own = false;
}

/* ---- opening stock ---- */

static void
put_receipts(struct hf *hf, const struct plan *p, const char *source, uint32_t first, uint32_t n)
{
	struct hf_stock_event events[AT_ONCE];
	for (uint32_t i = 0; i < n; i++)
		events[i] = (struct hf_stock_event){ .source = source, .n = first + i + 1, .kind = "receipt", .sku = p->skus[p->cells[first + i].sku],
			.location = p->locations[p->cells[first + i].location], .qty = p->cells[first + i].stock };
	hf_build_post(hf, events, n);
}

static bool
all_applied(const struct hf_value *value)
{
	const struct hf_value *outcomes = value->type == HF_ARRAY && value->array.n == 2 ? &value->array.items[1] : NULL;
	for (uint32_t i = 0; outcomes && outcomes->type == HF_ARRAY && i < outcomes->array.n; i++)
		if (outcomes->array.items[i].type != HF_STR)
			return false;
	return outcomes != NULL;
}

int
house_stock(const struct house *h, const struct plan *p, struct why *why)
{
	char source[PLAN_NAME_BYTES];
	const struct hf_value *value;
	struct hf *hf = call(h, why);
	int result = hf ? 0 : -1;
	snprintf(source, sizeof source, "%sopening", p->stamp);
	for (uint32_t first = 0; first < p->cells_n && result == 0; first += AT_ONCE) {
		put_receipts(hf, p, source, first, p->cells_n - first < AT_ONCE ? p->cells_n - first : AT_ONCE);
		if (hf_call(hf, &value) != HF_OK || !all_applied(value)) {
			snprintf(why->text, sizeof why->text, "the opening stock was refused: %.300s", hf_error(hf)->message);
			result = -1;
		}
	}
	hf_close(hf);
	return result;
}

/* ---- the end ---- */

static int
ask_cells(struct hf *hf, const struct plan *p, struct found *f)
{
	struct hf_line ask[AT_ONCE];
	const struct hf_value *value;
	for (uint32_t first = 0; first < p->cells_n; first += AT_ONCE) {
		uint32_t n = p->cells_n - first < AT_ONCE ? p->cells_n - first : AT_ONCE;
		for (uint32_t i = 0; i < n; i++)
			ask[i] = (struct hf_line){ p->skus[p->cells[first + i].sku], p->locations[p->cells[first + i].location], 0 };
		if (hf_stock(hf, ask, n, &value) != HF_OK || value->type != HF_ARRAY || value->array.n != 2 || value->array.items[1].array.n != n)
			return -1;
		for (uint32_t i = 0; i < n; i++) {
			const struct hf_value *v = &value->array.items[1].array.items[i];
			f->cells[first + i] = (struct found_cell){ hf_int(hf_get(v, "on_hand"), INT32_MIN), hf_int(hf_get(v, "reserved"), -1),
				hf_int(hf_get(v, "committed"), -1) };
		}
	}
	return 0;
}

static enum shopper_state
state_named(const struct hf_value *value)
{
	static const struct { const char *name; enum shopper_state state; } names[] = { { "held", SHOPPER_HELD }, { "committed", SHOPPER_COMMITTED },
		{ "fulfilled", SHOPPER_FULFILLED }, { "released", SHOPPER_RELEASED }, { "expired", SHOPPER_TOO_LATE } };
	const struct hf_value *state = hf_get(value, "state");
	for (size_t i = 0; state && state->type == HF_STR && i < sizeof names / sizeof *names; i++)
		if (strlen(names[i].name) == state->str.n && memcmp(names[i].name, state->str.at, state->str.n) == 0)
			return names[i].state;
	return SHOPPER_TO_COME;
}

/* Every reservation that was granted, many questions in flight. */
static int
ask_reservations(struct hf *hf, const struct plan *p, struct found *f)
{
	uint32_t number, asked[IN_FLIGHT * 2], next = 0;
	char id[PLAN_NAME_BYTES];
	const struct hf_value *value;
	while (next < p->shoppers_n || hf_in_flight(hf) > 0) {
		for (; next < p->shoppers_n && hf_in_flight(hf) < IN_FLIGHT; next++) {
			if (!p->shoppers[next].granted_seq)
				continue;
			plan_hold_id(p, next, id);
			hf_build_reservation(hf, id);
			number = hf_send(hf);
			asked[number % (IN_FLIGHT * 2)] = next;
		}
		for (uint32_t low = hf_in_flight(hf) / 2; hf_in_flight(hf) > low;) {
			enum hf_outcome got = hf_receive(hf, &number, &value);
			if (number == 0)
				return -1;
			f->states[asked[number % (IN_FLIGHT * 2)]] = got == HF_OK ? (uint8_t)state_named(value) : SHOPPER_TO_COME;
		}
	}
	return 0;
}

static int
ask_tills(struct hf *hf, const struct plan *p, struct found *f)
{
	char till[PLAN_NAME_BYTES];
	const struct hf_value *value;
	for (uint32_t t = 0; t < p->tills_n; t++) {
		plan_till_name(p, t, till);
		hf_build_position(hf, till);
		if (hf_call(hf, &value) != HF_OK)
			return -1;
		f->tills[t] = (struct found_till){ hf_int(hf_get(value, "contiguous"), -1), hf_int(hf_get(value, "highest"), -1) };
	}
	return 0;
}

/* The next instant at which a hold ends, from from_ms on; INT64_MAX: none will. */
static int64_t
next_end_ms(const struct plan *p, int64_t from_ms)
{
	int64_t next_ms = INT64_MAX;
	for (uint32_t i = 0; i < p->shoppers_n; i++) {
		const struct shopper *s = &p->shoppers[i];
		if (s->granted_seq && s->state == SHOPPER_HELD && s->expires_at >= from_ms && s->expires_at < next_ms)
			next_ms = s->expires_at;
	}
	return next_ms;
}

static void
wait_until_calm(const struct plan *p, const volatile sig_atomic_t *stop)
{
	const struct timespec pause = { 0, 20000000 };
	while (!*stop && next_end_ms(p, clock_wall_ms() - CALM_MS) <= clock_wall_ms() + ASK_MS)
		nanosleep(&pause, NULL);
}

static int
ask_all(struct hf *hf, const struct plan *p, struct found *f)
{
	f->cells = calloc(p->cells_n, sizeof *f->cells);
	f->states = calloc((size_t)p->shoppers_n + 1, sizeof *f->states);
	f->tills = calloc(p->tills_n + 1, sizeof *f->tills);
	return f->cells && f->states && f->tills && ask_cells(hf, p, f) == 0 && ask_reservations(hf, p, f) == 0 && ask_tills(hf, p, f) == 0 ? 0 : -1;
}

int
house_ask(const struct house *h, const struct plan *p, const volatile sig_atomic_t *stop, struct found *f, struct why *why)
{
	struct hf *hf = call(h, why);
	int result = hf ? 0 : -1;
	*f = (struct found){ .at_ms = 0 };
	for (int i = 0; result == 0 && i < TRIES && !f->at_ms; i++) {
		wait_until_calm(p, stop);
		if (*stop)
			break;
		int64_t from_ms = clock_wall_ms();
		result = ask_all(hf, p, f);
		f->at_ms = from_ms;
		if (result == 0 && next_end_ms(p, from_ms - CALM_MS) > clock_wall_ms() + CALM_MS)
			break;
		found_fini(f);
	}
	if (hf && result < 0)
		snprintf(why->text, sizeof why->text, "the server did not say how it ended: %.300s", hf_error(hf)->message);
	hf_close(hf);
	return result;
}
