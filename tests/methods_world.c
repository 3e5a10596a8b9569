/* methods_world.c: see methods_world.h. */
#include "tests/methods_world.h"

#include "net/codec_write.h"

#define NOW INT64_C(1700000000000)

static uint64_t
host_durable(void *h)
{
	return world.host.durable;
}

static bool
host_room(void *h)
{
	return world.host.room < 0;
}

static bool
host_overloaded(void *h)
{
	return world.host.overloaded;
}

static const char *
host_read_only(void *h)
{
	return world.host.read_only;
}

static void
host_status(void *h, struct buffer *out)
{
	put_map(out, 1);
	put_field(out, "loops", 1);
}

struct world world = { .service = { .server = "holdfastd test", .data = "/srv/data", .image_age_ms = 10000, .node = "n1", .epoch = 3,
	.durable = host_durable, .room = host_room, .overloaded = host_overloaded, .read_only = host_read_only, .status = host_status } };
static void *memory;
static struct step_buffer steps;

static void
engine_end(void)
{
	free(memory);
	free(steps.bytes);
	memory = NULL;
	steps.bytes = NULL;
}

void
world_end(void)
{
	engine_end();
	buffer_fini(&world.frame);
	buffer_fini(&world.out);
}

void
world_begin(void)
{
	static const struct engine_limits limits = { .cells_max = 4096, .skus_max = 1024, .locations_max = 256, .sources_max = 64,
		.channels_max = 16, .groups_max = 8, .reservations_max = 2048, .extra_lines_max = 8192, .blobs_max = 8192,
		.quarantine_max = 64, .history_max = 4096, .free_ids_max = 1024 };
	engine_end();
	size_t n = engine_memory_bytes(&limits);
	ensure(n > 0);
	memory = aligned_alloc(64, (n + 63) / 64 * 64);
	steps.size = 8 * STEP_ROOM;
	steps.bytes = malloc(steps.size);
	ensure(memory && steps.bytes);
	memset(memory, 0, n);
	world.service.engine = engine_init(memory, &limits, 1);
	ensure(!engine_load_done(world.service.engine));
	memset(&world.host, 0, sizeof world.host);
	world.host.room = -1;
	world.now_ms = NOW;
	world.on_engine = true;
	engine_begin(world.service.engine, world.now_ms, &steps);
	struct engine_options options = engine_options_default;
	options.value[OPTION_HISTORY_MAX] = limits.history_max;
	options.value[OPTION_FREE_IDS_MAX] = limits.free_ids_max;
	ensure(!engine_set_options(world.service.engine, &options));
}

void
world_batch(void)
{
	engine_begin(world.service.engine, world.now_ms, &steps);
	while (engine_next_deadline(world.service.engine) <= world.now_ms && engine_expire(world.service.engine, EXPIRE_SLICE))
		;
}

const char *
world_text(const char *text)
{
	world.frame.used = world.out.used = 0;
	wire_from_text(&world.frame, text);
	world.handling = (struct handling){ 0 };
	if (world.on_engine)
		world_batch();
	world.handled = methods_handle(&world.service, world.on_engine ? PLACE_ENGINE : PLACE_ANY_LOOP, world.now_ms, world.frame.at,
	    world.frame.used, &world.out, &world.handling);
	world.host.durable = engine_seq(world.service.engine);
	return world.out.used ? wire_to_text(world.out.at, world.out.used) : "";
}

const char *
world_ask(const char *method, const char *params)
{
	static char text[70000], request[8192];
	snprintf(request, sizeof request, "[0, 7, '%s', %s]", method, params);
	snprintf(text, sizeof text, "%s", world_text(request));
	if (strncmp(text, "[1, 7, ", 7) != 0)
		return text;
	text[strlen(text) - 1] = 0;
	return text + 7;
}

void
world_rows(const struct world_row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const char *reply = world_ask(rows[i].method, rows[i].params);
		if (!wire_like(reply, rows[i].reply))
			printf("%s %s\n  is     %s\n  not    %s\n", rows[i].method, rows[i].params, reply, rows[i].reply);
		check(wire_like(reply, rows[i].reply));
		check_equal(world.handled, HANDLED_REPLY);
		check_equal(world.handling.refused, strncmp(reply, "nil, ", 5) != 0);
	}
}

void
world_stock(void)
{
	static const struct world_row rows[] = {
		{ "post", "[[{'source': 'wms', 'n': 1, 'kind': 'receipt', 'sku': 'a', 'location': 'l1', 'qty': 10}, {'source': 'wms', 'n': 2, "
		  "'kind': 'receipt', 'sku': 'b', 'location': 'l1', 'qty': 5}, {'source': 'wms', 'n': 3, 'kind': 'receipt', 'sku': 'a', "
		  "'location': 'l2', 'qty': 3}]]", "nil, [*, [\"applied\", \"applied\", \"applied\"]]" },
	};
	world_begin();
	WORLD_ROWS(rows);
}
