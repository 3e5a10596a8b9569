/*
 * test_gate_queue.c: how the gate finds a message that comes again, when the messages were chosen to lie in one bucket. What the queue does
 * with messages is tested through the gate: test_gate, test_gate_push, test_gate_trouble.
 */
#include "tests/check.h"

#include "net/gate_queue.h"

#define CHOSEN 256

/* A message whose bytes the public hash puts into its first bucket, whichever half of it counts; numbers are tried from `from` on. */
static struct gate_message
message_chosen(uint32_t from)
{
	struct gate_message m = { .origin = ORIGIN_EVENTS, .header = { .n = 4, .at = { 0x80, 0, 0, 1 } }, .at = raw_allocate(4), .n = 4 };
	if (!m.at)
		return m;
	do {
		memcpy(m.at, &from, m.n);
		from++;
	} while (hash_bytes((struct bytes){ m.at, 4 }) % GATE_SLOTS != 0 && (hash_bytes((struct bytes){ m.at, 4 }) >> 32) % GATE_SLOTS != 0);
	return m;
}

static uint32_t
longest_chain(struct gate_queue *q)
{
	uint32_t longest = 0;
	for (uint32_t i = 0; i < GATE_SLOTS; i++) {
		uint32_t n = 0;
		for (uint64_t link = q->buckets[i]; link > q->kept; link = gate_queue_at(q, link - 1)->next_alike)
			n++;
		longest = n > longest ? n : longest;
	}
	return longest;
}

static void
messages_chosen_for_one_bucket_of_the_public_hash_stand_apart(void)
{
	for (uint64_t secret = 1; secret <= 3; secret++) {
		struct gate_queue q;
		uint32_t next = 0;
		check_equal(gate_queue_init(&q, secret), 0);
		for (uint32_t i = 0; i < CHOSEN; i++) {
			struct gate_message m = message_chosen(next);
			check(m.at);
			memcpy(&next, m.at, sizeof next);
			next++;
			check(!gate_queue_find(&q, &m));
			gate_queue_add(&q, &m);
			check(gate_queue_find(&q, &m) == gate_queue_at(&q, i));
		}
		check(longest_chain(&q) < 8);
		gate_queue_fini(&q);
	}
}

int
main(int argc, char **argv)
{
	static const struct check tests[] = {
		CHECK(messages_chosen_for_one_bucket_of_the_public_hash_stand_apart),
	};
	return check_run(argv[0], tests, sizeof tests / sizeof tests[0], argc, argv);
}
