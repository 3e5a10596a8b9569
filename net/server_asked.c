/* server_asked.c: what methods and HTTP ask the host. The contract is in server_part.h. */
#define _GNU_SOURCE
#include "net/server_part.h"

#include "net/codec_write.h"

#include <stdlib.h>

static uint64_t
service_durable(void *host)
{
	return batcher_durable(host_batcher(((struct server *)host)->host));
}

static uint64_t
service_lost(void *host, uint64_t seq)
{
	return image_lost_until(&host_recovery(((struct server *)host)->host)->image, seq);
}

static bool
service_room(void *host)
{
	return batcher_room(host_batcher(((struct server *)host)->host));
}

uint64_t
server_oldest(void *context)
{
	return host_oldest(((struct server *)context)->host);
}

static bool
service_late(void *host)
{
	return loop_turn_look(&((struct server *)host)->loops[0]);
}

/* Looked at once a stamp, not once a request: it takes the time. */
static bool
service_overloaded(void *host)
{
	struct server *s = host;
	if (s->pressure_stamp != s->loops[0].stamps) {
		s->pressure_stamp = s->loops[0].stamps;
		s->pressure = host_pressure(s->host);
	}
	return s->pressure;
}

static uint64_t
counter_sum(const struct server *s, enum counter which)
{
	uint64_t sum = counters_get(feed_counters(s->feed), which);
	for (unsigned i = 0; i < s->loops_n; i++)
		sum += counters_get(&s->loops[i].counters, which);
	return sum;
}

void
server_figures(void *context, figure_fn *each, void *to)
{
	struct server *s = context;
	struct batcher_figures b;
	struct host_figures h;
	struct feed_figures f;
	feed_figures(s->feed, &f);
	batcher_figures(host_batcher(s->host), &b);
	host_figures(s->host, &h);
	each(to, "position", "last position decided", false, engine_seq(host_engine(s->host)));
	each(to, "durable", "last durable position", false, service_durable(s));
	each(to, "image_position", "the image is folded up to here", false, h.folded_seq);
	each(to, "copy_position", "the image's copy is complete up to here", false, h.copied_seq);
	each(to, "image_commits", "transactions of the image", true, h.image_commits);
	each(to, "image_failures", "failed transactions or copies of the image, tried again", true, h.image_failures);
	each(to, "journal_bytes", "bytes of the journal's files", false, h.journal_bytes);
	each(to, "journal_low", "1: the journal is short of room, holds are refused", false, h.journal_low);
	each(to, "journal_failed", "1: the journal failed, nothing is acknowledged", false, batcher_failed(host_batcher(s->host)));
	each(to, "batches", "batches made durable", true, b.batches);
	each(to, "steps", "steps made durable", true, b.steps);
	each(to, "batch_bytes", "bytes of steps made durable", true, b.payload_bytes);
	each(to, "append_us_last", "microseconds of the last append and sync", false, b.append_us_last);
	each(to, "append_us_max", "microseconds of the longest append and sync", false, b.append_us_max);
	each(to, "expire_rounds", "slices of expiry", true, b.expire_rounds);
	each(to, "memory_held", "bytes of buffers that connections hold", false, atomic_load_explicit(&s->held_bytes, memory_order_relaxed));
	each(to, "memory_max", "the bound of memory_held", false, s->config->memory_max);
	each(to, "connections", "open connections", false, atomic_load_explicit(&s->connections_open, memory_order_relaxed));
	each(to, "watchers", "connections that watch", false, f.watchers);
	each(to, "watchers_catching_up", "of these, the ones that read older changes", false, f.catching);
	each(to, "snapshots", "open snapshots of the image, of scans of one instant", false, f.snapshots);
	each(to, "feed_position", "changes are told up to here; 0: nobody watches", false, f.position);
	const struct admission *j = s->loops[0].judges;
	each(to, "holds_shut", "1: a queue is too old, new holds are refused", false,
	    j[0].state == ADMISSION_REFUSING || j[1].state == ADMISSION_REFUSING || j[2].state == ADMISSION_REFUSING);
	each(to, "gate_up", "1: the gate takes events", false, supervisor_up(s->gate, SUPERVISOR_PART_GATE));
	each(to, "gate_starts", "times the gate was started", true, supervisor_starts(s->gate, SUPERVISOR_PART_GATE));
	each(to, "gate_feed_up", "1: the gate's change feed takes subscribers", false, supervisor_up(s->gate, SUPERVISOR_PART_FEED));
	each(to, "gate_feed_starts", "times the gate's change feed was started", true, supervisor_starts(s->gate, SUPERVISOR_PART_FEED));
	each(to, "gate_port_events", "port of the gate's REP socket; 0: none", false, s->ports.events);
	each(to, "gate_port_push", "port of the gate's PULL socket; 0: none", false, s->ports.push);
	each(to, "gate_port_feed", "port of the gate's PUB socket; 0: none", false, s->ports.feed);
	for (enum counter c = 0; c < COUNTER_COUNT; c++)
		each(to, counter_name(c), counter_help(c), true, counter_sum(s, c));
}

static void
figure_count(void *context, const char *name, const char *help, bool counter, uint64_t value)
{
	++*(uint32_t *)context;
}

static void
figure_put(void *context, const char *name, const char *help, bool counter, uint64_t value)
{
	put_text(context, name);
	put_uint(context, value);
}

static void
service_status(void *host, struct buffer *out)
{
	uint32_t n = 0;
	server_figures(host, figure_count, &n);
	put_map(out, n);
	server_figures(host, figure_put, out);
}

const char *
server_not_ready(void *context)
{
	struct server *s = context;
	if (batcher_failed(host_batcher(s->host)))
		return "the journal failed";
	if (s->asked_to_stop)
		return "stopping";
	if (batcher_stalled(host_batcher(s->host)))
		return "the disk does not keep up";
	if (host_pressure(s->host))
		return "the journal is short of room";
	return NULL;
}

void
server_service_fill(struct server *s)
{
	const char *data = realpath(s->config->data, s->data);
	s->service = (struct service){ .engine = host_engine(s->host), .server = SERVER_VERSION, .node = s->config->node, .data = data,
		.image_age_ms = s->config->image_age_ms,
		.epoch = host_recovery(s->host)->tail.epoch, .options = &s->config->engine, .durable = service_durable,
		.lost = service_lost, .status = service_status, .host = s, .room = service_room, .late = service_late, .overloaded = service_overloaded };
}
