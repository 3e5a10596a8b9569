/*
 * test_record.c: entries alone: what is encoded comes back as it was, with numbers at the edges of every width, and no cut or longer
 * body is taken for one.
 */
#include "tests/check.h"

#include "core/encode.h"

#define TRIES 20000
#define BYTES ((size_t)512 << 10)

static uint8_t bytes[BYTES];
static struct line_record lines[LINES_MAX], lines_back[LINES_MAX];
static uint64_t state;

static uint64_t
draw(void)
{
	uint64_t z = (state += UINT64_C(0x9e3779b97f4a7c15));
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* 0 to max, mostly 0, small, or beside a power of two. */
static uint64_t
edge(uint64_t max)
{
	static const int64_t beside[] = { -1, 0, 1 };
	uint64_t v = (UINT64_C(1) << draw() % 54) + (uint64_t)beside[draw() % 3];
	switch (draw() % 4) {
	case 0: return 0;
	case 1: return draw() % 100 <= max ? draw() % 100 % (max + 1) : max;
	default: return v <= max ? v : max;
	}
}

static int64_t
either_sign(uint64_t max)
{
	int64_t v = (int64_t)edge(max);
	return draw() & 1 ? v : -v;
}

/* The one entry that was encoded; false: it is not one, or what a longer body would be is taken. */
static bool
entry_of(const uint8_t *end, struct entry_bytes *e)
{
	const uint8_t *at = bytes;
	if (entry_next(&at, end, e) != 1 || at != end)
		return false;
	for (size_t cut = 1; cut < 12 && cut < (size_t)(end - bytes); cut++) {
		struct entry_bytes ignored;
		at = bytes;
		if (entry_next(&at, end - cut, &ignored) != -1)
			return false;
	}
	return true;
}

static void
a_cell_comes_back_as_it_was(void)
{
	for (int i = 0; i < TRIES; i++) {
		uint8_t id[NAME_BYTES_MAX];
		struct entry_bytes e;
		struct cell_record back, r = { .cell = (uint32_t)edge(CELL_NONE - 1), .previous = edge(SEQ_MAX), .ats_before = either_sign(UINT64_C(1) << 53) };
		struct cell_image *c = &r.now;
		*c = (struct cell_image){ .sku = (uint32_t)edge(UINT32_MAX), .location = (uint32_t)edge((1 << 20) - 1),
			.on_hand = either_sign(QTY_CELL_MAX), .reserved = (int64_t)edge(QTY_CELL_MAX), .committed = (int64_t)edge(QTY_CELL_MAX),
			.last_event_at = (int64_t)edge(INSTANT_MAX) };
		if (draw() % 2) {
			c->unsellable = either_sign(QTY_CELL_MAX), c->promised = (int64_t)edge(QTY_CELL_MAX), c->inbound = (int64_t)edge(QTY_CELL_MAX);
			c->safety_stock = (int64_t)edge(QTY_LINE_MAX), c->oversell_limit = (int64_t)edge(QTY_LINE_MAX);
		}
		if (draw() % 2) {
			memset(id, 'i', sizeof id);
			c->flags = CELL_COUNTED | CELL_COUNT_BY_ID, c->count_at = (int64_t)edge(INSTANT_MAX), c->count_source = (uint32_t)edge(1 << 20);
			c->count_n = edge(SEQ_MAX), c->count_id = (struct bytes){ id, (uint32_t)(draw() % sizeof id) };
		}
		check(entry_of(cell_encode(bytes, &r), &e) && e.kind == ENTRY_CELL && cell_decode(&e, &back));
		check(bytes_equal(back.now.count_id, c->count_id));
		check(back.cell == r.cell && back.previous == r.previous && back.ats_before == r.ats_before);
		check(memcmp(&back.now, c, offsetof(struct cell_image, count_id)) == 0 && back.now.count_source == c->count_source);
		check(back.now.sku == c->sku && back.now.location == c->location && back.now.flags == c->flags);
		e.body_n--;
		check(!cell_decode(&e, &back));
	}
}

static void
line_draw(struct line_record *l)
{
	*l = (struct line_record){ .cell = (uint32_t)edge(CELL_NONE - 1), .granted = (uint32_t)edge(QTY_LINE_MAX) };
	l->held = (uint32_t)edge(QTY_LINE_MAX);
	if (draw() % 2) {
		l->committed = (uint32_t)edge(QTY_LINE_MAX), l->fulfilled = (uint32_t)edge(QTY_LINE_MAX), l->released = (uint32_t)edge(QTY_LINE_MAX);
		l->expired = (uint32_t)edge(QTY_LINE_MAX), l->handed_over = (uint32_t)edge(QTY_LINE_MAX), l->origin = (uint32_t)edge(LINES_MAX);
	}
}

static void
reservation_round(uint16_t lines_n)
{
	static uint8_t id[NAME_BYTES_MAX], extra[UINT16_MAX];
	struct entry_bytes e;
	struct reservation_record back, r = { .slot = (uint32_t)edge(UINT32_MAX - 1), .id = id, .lines = lines, .extra = extra, .terms = {
		.created_at = (int64_t)edge(INSTANT_MAX), .first_seq = edge(SEQ_MAX), .digest = draw(), .ttl_ms = (uint32_t)edge(UINT32_MAX),
		.life_ms = (uint32_t)edge(UINT32_MAX), .lines_n = lines_n, .extra_n = (uint16_t)edge(UINT16_MAX), .channel = (uint16_t)edge(UINT16_MAX),
		.flags = (uint8_t)edge(3), .id_n = (uint8_t)(1 + edge(NAME_BYTES_MAX - 1)) } };
	memset(id, 'r', sizeof id);
	memset(extra, 'x', sizeof extra);
	for (uint32_t i = 0; i < lines_n; i++)
		line_draw(&lines[i]);
	check(entry_of(reservation_encode(bytes, &r), &e) && e.kind == ENTRY_RESERVATION && e.key == r.slot);
	check(reservation_decode(&e, &back, lines_back));
	check(back.slot == r.slot && memcmp(&back.terms, &r.terms, sizeof r.terms) == 0);
	check(bytes_equal(record_id(&back), record_id(&r)) && bytes_equal(record_extra(&back), record_extra(&r)));
	check(memcmp(lines_back, lines, lines_n * sizeof *lines) == 0);
	e.body_n--;
	check(!reservation_decode(&e, &back, lines_back));
}

static void
a_reservation_comes_back_as_it_was(void)
{
	for (int i = 0; i < TRIES && !check_failed_now; i++)
		reservation_round((uint16_t)(1 + draw() % 3));
}

/* A body beyond what two bytes of length can tell. */
static void
a_reservation_of_all_the_lines_comes_back(void)
{
	for (int i = 0; i < 20 && !check_failed_now; i++)
		reservation_round(LINES_MAX);
}

static void
marks_deltas_and_ids_come_back_as_they_were(void)
{
	for (int i = 0; i < TRIES; i++) {
		struct entry_bytes e;
		uint64_t contiguous = edge(SEQ_MAX - SOURCE_WINDOW);
		struct mark_record m_back, m = { .source = (uint32_t)edge((1 << 20) - 1), .n = edge(SEQ_MAX), .digest = draw(), .outcome = (uint32_t)edge(5),
			.status = (uint32_t)edge(STATUS_COUNT - 1), .contiguous = contiguous, .highest = contiguous + edge(SOURCE_WINDOW),
			.last_at = (int64_t)edge(INSTANT_MAX) - 1 };
		check(entry_of(mark_encode(bytes, &m), &e) && e.kind == ENTRY_MARK && mark_decode(&e, &m_back));
		check(m.source == m_back.source && m.n == m_back.n && m.digest == m_back.digest && m.outcome == m_back.outcome &&
		    m.status == m_back.status && m.contiguous == m_back.contiguous && m.highest == m_back.highest && m.last_at == m_back.last_at);
		struct delta_record d_back, d = { .number = edge(SEQ_MAX), .slot = (uint32_t)edge(UINT32_MAX), .cell = (uint32_t)edge(CELL_NONE - 1),
			.at = (int64_t)edge(INSTANT_MAX), .arrival = (int64_t)edge(INSTANT_MAX), .qty = either_sign(QTY_LINE_MAX),
			.source = (uint32_t)edge(1 << 20), .n = edge(SEQ_MAX) };
		check(entry_of(delta_encode(bytes, &d), &e) && e.kind == ENTRY_DELTA && delta_decode(&e, &d_back));
		check(d.number == d_back.number && d.slot == d_back.slot && d.cell == d_back.cell && d.at == d_back.at && d.arrival == d_back.arrival &&
		    d.qty == d_back.qty && d.source == d_back.source && d.n == d_back.n);
		struct free_id_record f_back, f = { .number = edge(SEQ_MAX), .slot = (uint32_t)edge(UINT32_MAX), .id = { draw(), draw() },
			.source = (uint32_t)edge(1 << 20), .digest = draw(), .arrival = (int64_t)edge(INSTANT_MAX), .outcome = (uint32_t)edge(5),
			.status = (uint32_t)edge(STATUS_COUNT - 1) };
		check(entry_of(free_id_encode(bytes, &f), &e) && e.kind == ENTRY_FREE_ID && free_id_decode(&e, &f_back));
		check(f.number == f_back.number && f.slot == f_back.slot && memcmp(f.id, f_back.id, sizeof f.id) == 0 && f.source == f_back.source &&
		    f.digest == f_back.digest && f.arrival == f_back.arrival && f.outcome == f_back.outcome && f.status == f_back.status);
		struct source_record s_back, s = { (uint32_t)edge((1 << 20) - 1), contiguous, contiguous + edge(SOURCE_WINDOW), (int64_t)edge(INSTANT_MAX) - 1 };
		check(entry_of(source_encode(bytes, &s), &e) && e.kind == ENTRY_SOURCE && source_decode(&e, &s_back));
		check(s.source == s_back.source && s.contiguous == s_back.contiguous && s.highest == s_back.highest && s.last_at == s_back.last_at);
	}
}

static void
the_others_come_back_as_they_were(void)
{
	static uint8_t text[EVENT_BYTES_MAX];
	static uint32_t members[GROUP_MEMBERS_MAX], members_back[GROUP_MEMBERS_MAX];
	struct entry_bytes e;
	for (uint32_t i = 0; i <= GROUP_MEMBERS_MAX; i++) {
		struct group_record g_back, g = { .location = i, .building = i & 1, .members_n = i, .members = members };
		if (i < GROUP_MEMBERS_MAX)
			members[i] = (uint32_t)draw();
		check(entry_of(group_encode(bytes, &g), &e) && group_decode(&e, &g_back, members_back));
		check(g_back.location == i && g_back.building == (i & 1) && g_back.members_n == i && memcmp(members, members_back, i * 4) == 0);
		struct name_record n_back, n = { i % 4, i, { text, 1 + i % NAME_BYTES_MAX } };
		check(entry_of(name_encode(bytes, &n), &e) && name_decode(&e, &n_back));
		check(n_back.table == n.table && n_back.id == n.id && bytes_equal(n_back.name, n.name));
		struct quarantine_record q_back, q = { i, draw(), i & 1, STATUS_CONFLICT, (int64_t)edge(INSTANT_MAX), { text, i } };
		check(entry_of(quarantine_encode(bytes, &q), &e) && quarantine_decode(&e, &q_back));
		check(q_back.slot == i && q_back.number == q.number && q_back.kept == q.kept && q_back.reason == q.reason && q_back.at == q.at &&
		    bytes_equal(q_back.raw, q.raw));
		struct floor_record f_back, f = { i, either_sign(INSTANT_MAX) };
		check(entry_of(floor_encode(bytes, &f), &e) && floor_decode(&e, &f_back) && f_back.cell == i && f_back.floor == f.floor);
	}
}

static const struct check tests[] = {
	CHECK(a_cell_comes_back_as_it_was),
	CHECK(a_reservation_comes_back_as_it_was),
	CHECK(a_reservation_of_all_the_lines_comes_back),
	CHECK(marks_deltas_and_ids_come_back_as_they_were),
	CHECK(the_others_come_back_as_they_were),
};

int
main(int argc, char **argv)
{
	state = check_seed(1);
	return check_run(argv[0], tests, sizeof tests / sizeof tests[0], argc, argv);
}
