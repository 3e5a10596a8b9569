/*
 * scale_fill.c: see scale.h. One message of events is encoded once; its numbers are patched in place. A count leaves no delta behind
 * (nothing can come before it), so cells are all that the server's memory holds afterwards.
 */
#include "bench/scale.h"
#include "net/buffer.h"
#include "net/clock.h"
#include "net/codec_write.h"

#define EVENTS    1000 /* of a message */
#define IN_FLIGHT 8 /* messages */
#define CALL_MS   60000
#define SAY_NS    INT64_C(10000000000)

struct message {
	struct buffer of;
	size_t n_at[EVENTS], sku_at[EVENTS], location_at[EVENTS];
};

static void
message_make(struct message *m)
{
	uint8_t wide[9];
	wire_fixed(wide, 0);
	put_array(&m->of, EVENTS);
	for (uint32_t i = 0; i < EVENTS; i++) {
		put_map(&m->of, 6);
		put_text(&m->of, "source"), put_text(&m->of, "stock-taking");
		put_text(&m->of, "n");
		m->n_at[i] = m->of.used;
		buffer_append(&m->of, wide, sizeof wide);
		put_text(&m->of, "kind"), put_text(&m->of, "count");
		put_text(&m->of, "sku");
		m->sku_at[i] = m->of.used + 2;
		put_text(&m->of, "S00000000");
		put_text(&m->of, "location");
		m->location_at[i] = m->of.used + 2;
		put_text(&m->of, "L00");
		put_text(&m->of, "qty"), put_int(&m->of, SCALE_UNITS);
	}
}

static void
message_number(struct message *m, uint64_t first)
{
	for (uint32_t i = 0; i < EVENTS; i++) {
		uint64_t cell = first + i;
		wire_fixed(m->of.at + m->n_at[i], cell + 1);
		digits_patch(m->of.at + m->sku_at[i], SKU_DIGITS, cell / SCALE_LOCATIONS, 10);
		digits_patch(m->of.at + m->location_at[i], LOCATION_DIGITS, cell % SCALE_LOCATIONS, 10);
	}
}

/* Takes the answer to one message: every count is in force. */
static void
answer_take(struct hf *hf)
{
	const struct hf_value *value;
	uint32_t number;
	if (hf_receive(hf, &number, &value) != HF_OK || value->array.n < 2)
		scale_die("a stock-taking was not taken: %s", hf_error(hf)->message);
	const struct hf_value *outcomes = &value->array.items[1];
	if (outcomes->type != HF_ARRAY || outcomes->array.n != EVENTS)
		scale_die("a stock-taking was answered by something else");
	for (uint32_t i = 0; i < EVENTS; i++)
		if (!hf_get(&outcomes->array.items[i], "reconciled"))
			scale_die("a count was refused");
}

double
scale_fill(uint16_t port, uint64_t cells)
{
	static struct message m;
	struct hf_failure failure;
	struct hf *hf = hf_connect("127.0.0.1", port, CALL_MS, &failure);
	int64_t start_ns = clock_steady_ns(), say_ns = start_ns + SAY_NS;
	if (!hf)
		scale_die("%s", failure.message);
	if (cells % EVENTS != 0)
		scale_die("the number of cells must be a multiple of %d", EVENTS);
	if (m.of.used == 0)
		message_make(&m);
	for (uint64_t first = 0; first < cells; first += EVENTS) {
		message_number(&m, first);
		hf_begin(hf, "post");
		hf_array(hf, 1);
		hf_put_raw(hf, m.of.at, m.of.used);
		if (!hf_send(hf))
			scale_die("a stock-taking was not sent: %s", hf_error(hf)->message);
		while (hf_in_flight(hf) >= IN_FLIGHT)
			answer_take(hf);
		if (clock_steady_ns() > say_ns) {
			scale_say("%.0f %% of the cells, %.0f a second", 100.0 * (double)first / (double)cells,
			    (double)first * 1e9 / (double)(clock_steady_ns() - start_ns));
			say_ns += SAY_NS;
		}
	}
	while (hf_in_flight(hf) > 0)
		answer_take(hf);
	hf_close(hf);
	return (double)(clock_steady_ns() - start_ns) / 1e9;
}
