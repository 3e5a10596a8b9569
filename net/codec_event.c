/*
 * codec_event.c: one stock event. An event that says who it is (source and n, or source and id) but is otherwise defective
 * still becomes a command, so that the engine can keep it in the quarantine and count it as seen (D30).
 *
 * Keys of later versions (units, transfers, inbound, feeds, hand-over, signatures) make a defect, not silence: an event
 * that is applied is applied wholly.
 */
#include "net/codec_params.h"
#include "net/codec_identity.h"

#define COUNT(list) ((int)(sizeof(list) / sizeof((list)[0])))
#define LATER(what) what ": not supported yet"

enum {
	EVENT_V, SOURCE, N, KIND, SKU, LOCATION, QTY, REF, AT, ID, UNIT, REASON, TO, TO_LOCATION, RETIRES, AS_OF, AS_OF_N, EXPECTED,
	DUE, ABSENT, SIG
};
static const struct key event_keys[] = {
	[EVENT_V] = KEY("v"), [SOURCE] = KEY("source"), [N] = KEY("n"), [KIND] = KEY("kind"), [SKU] = KEY("sku"),
	[LOCATION] = KEY("location"), [QTY] = KEY("qty"), [REF] = KEY("ref"), [AT] = KEY("at"), [ID] = KEY("id"), [UNIT] = KEY("unit"),
	[REASON] = KEY("reason"), [TO] = KEY("to"), [TO_LOCATION] = KEY("to_location"), [RETIRES] = KEY("retires"),
	[AS_OF] = KEY("as_of"), [AS_OF_N] = KEY("as_of_n"), [EXPECTED] = KEY("expected"), [DUE] = KEY("due"), [ABSENT] = KEY("absent"),
	[SIG] = KEY("sig"),
};
static const char *const later_keys[COUNT(event_keys)] = {
	[UNIT] = LATER("unit"), [TO_LOCATION] = LATER("to_location"), [RETIRES] = LATER("retires"), [AS_OF_N] = LATER("as_of_n"),
	[DUE] = LATER("due"), [ABSENT] = LATER("absent"), [SIG] = LATER("sig"),
};

struct kind_row {
	struct key name;
	enum event_kind kind;
	int64_t qty_min;
	const char *defect; /* of qty; of the kind itself when it is not there yet */
};
#define QTY_FROM_1 "qty must be an integer 1..2147483647"
static const struct kind_row kinds[] = {
	{ KEY("sale"), EVENT_SALE, 1, QTY_FROM_1 },
	{ KEY("return"), EVENT_RETURN, 1, QTY_FROM_1 },
	{ KEY("receipt"), EVENT_RECEIPT, 1, QTY_FROM_1 },
	{ KEY("adjust"), EVENT_ADJUST, -QTY_LINE_MAX, "qty must be an integer -2147483647..2147483647, not 0" },
	{ KEY("unsell"), EVENT_UNSELL, 1, QTY_FROM_1 },
	{ KEY("resell"), EVENT_RESELL, 1, QTY_FROM_1 },
	{ KEY("count"), EVENT_COUNT, 0, "qty must be an integer 0..2147483647" },
	{ KEY("fulfil"), EVENT_FULFIL, 1, QTY_FROM_1 },
	{ KEY("transfer"), EVENT_KIND_UNKNOWN, 0, LATER("kind \"transfer\"") },
	{ KEY("transfer_in"), EVENT_KIND_UNKNOWN, 0, LATER("kind \"transfer_in\"") },
	{ KEY("inbound"), EVENT_KIND_UNKNOWN, 0, LATER("kind \"inbound\"") },
	{ KEY("full_begin"), EVENT_KIND_UNKNOWN, 0, LATER("kind \"full_begin\"") },
	{ KEY("full_end"), EVENT_KIND_UNKNOWN, 0, LATER("kind \"full_end\"") },
	{ KEY("handover"), EVENT_KIND_UNKNOWN, 0, LATER("kind \"handover\"") },
};

/* What is known only when all pairs are read. */
struct event_parts {
	const struct kind_row *kind;
	bool has_qty, has_as_of;
	const char *identity_defect; /* source, n or id is there and no good; NULL: they are */
};

static const struct kind_row *
kind_find(struct bytes name)
{
	for (int i = 0; i < COUNT(kinds); i++) {
		if (bytes_equal(name, (struct bytes){ (const uint8_t *)kinds[i].name.name, kinds[i].name.n }))
			return &kinds[i];
	}
	return NULL;
}

/* The first defect is the one that is told. */
static void
defect(struct event_command *event, bool wrong, const char *message)
{
	if (!wrong || event->defect != STATUS_OK)
		return;
	event->defect = STATUS_BAD_REQUEST;
	event->defect_message = message;
}

static void
identity(struct event_parts *parts, const char *wrong)
{
	if (!parts->identity_defect)
		parts->identity_defect = wrong;
}

static void
version(struct reader *r, struct event_command *event)
{
	int64_t v;
	if (reader_int(r, &v) && v == 1)
		return;
	if (event->defect == STATUS_OK) {
		event->defect = STATUS_VERSION_UNSUPPORTED;
		event->defect_message = "v must be 1";
	}
}

static void
kind(struct reader *r, struct event_command *event, struct event_parts *parts)
{
	struct bytes name;
	if (!reader_str(r, &name))
		return;
	parts->kind = kind_find(name);
	defect(event, !parts->kind, "kind is none of sale, return, receipt, adjust, unsell, resell, count, fulfil");
}

static void
to(struct reader *r, struct event_command *event)
{
	struct bytes s = { NULL, 0 }, wanted = { (const uint8_t *)"unsellable", 10 };
	event->to_unsellable = reader_str(r, &s) && bytes_equal(s, wanted);
	defect(event, !event->to_unsellable, "to must be \"unsellable\"");
}

/* One value that is not nil. Leaves the reader behind it, or at it when it is not what the field wants. */
static void
field(struct reader *r, int key, struct event_command *event, struct event_parts *parts)
{
	switch (key) {
	case EVENT_V:
		version(r, event);
		break;
	case SOURCE:
		identity(parts, event_source(r, &event->source));
		break;
	case N:
		identity(parts, event_n(r, &event->n));
		break;
	case ID:
		identity(parts, event_id(r, &event->id));
		break;
	case KIND:
		kind(r, event, parts);
		break;
	case SKU:
		defect(event, !reader_text(r, NAME_BYTES_MAX, &event->sku), "sku" DEFECT_TEXT);
		break;
	case LOCATION:
		defect(event, !reader_text(r, PLACE_BYTES_MAX, &event->location), "location" DEFECT_PLACE);
		break;
	case QTY:
		parts->has_qty = reader_int_in(r, -QTY_LINE_MAX, QTY_LINE_MAX, &event->qty);
		break;
	case AT:
		defect(event, !reader_int_in(r, 0, INSTANT_MAX, &event->at), "at must be milliseconds since 1970, an integer");
		break;
	case AS_OF:
		parts->has_as_of = true;
		defect(event, !reader_int_in(r, 0, INSTANT_MAX, &event->as_of), "as_of must be milliseconds since 1970, an integer");
		break;
	case EXPECTED:
		event->has_expected = true;
		defect(event, !reader_int_in(r, -QTY_CELL_MAX, QTY_CELL_MAX, &event->expected), "expected must be an integer");
		break;
	case REF:
		defect(event, !reader_text(r, NAME_BYTES_MAX, &event->ref), "ref" DEFECT_TEXT);
		break;
	case REASON:
		defect(event, !reader_text(r, NAME_BYTES_MAX, &event->reason), "reason" DEFECT_TEXT);
		break;
	case TO:
		to(r, event);
		break;
	default:
		defect(event, true, later_keys[key]);
	}
}

/* What the kind needs and forbids. */
static void
finish_kind(struct event_command *event, const struct event_parts *parts)
{
	const struct kind_row *row = parts->kind;
	if (!row) {
		defect(event, true, "kind is missing");
		return;
	}
	if (row->kind == EVENT_KIND_UNKNOWN) {
		event->defect = STATUS_BAD_REQUEST;
		event->defect_message = row->defect;
		return;
	}
	event->kind = row->kind;
	defect(event, event->sku.n == 0, "sku is missing");
	defect(event, event->location.n == 0, "location is missing");
	defect(event, !parts->has_qty || event->qty < row->qty_min, row->defect);
	defect(event, event->kind == EVENT_ADJUST && event->qty == 0, row->defect);
	defect(event, event->kind == EVENT_ADJUST && event->reason.n == 0, "an adjust needs a reason");
	defect(event, event->kind == EVENT_FULFIL && event->ref.n == 0, "a fulfil needs the reservation as its ref");
	defect(event, parts->has_as_of && event->kind != EVENT_COUNT, "as_of is only for a count");
	defect(event, event->has_expected && event->kind != EVENT_COUNT && event->kind != EVENT_ADJUST,
	    "expected is only for a count or an adjust");
	defect(event, event->to_unsellable && event->kind != EVENT_RETURN, "to is only for a return");
}

/* R14: without an identity nothing can be kept or counted as seen. */
static void
finish_identity(struct event_command *event, struct event_parts *parts)
{
	identity(parts, event_anonymous(event->source.n > 0, event->n > 0 || event->id.n > 0));
	if (!parts->identity_defect)
		return;
	event->source = event->id = (struct bytes){ NULL, 0 };
	event->n = 0;
	event->defect = STATUS_BAD_REQUEST;
	event->defect_message = parts->identity_defect;
}

/* One pair. A value that its field did not take is passed over. */
static bool
pair(struct reader *r, struct event_command *event, struct event_parts *parts, int *hint)
{
	int key = reader_key(r, event_keys, COUNT(event_keys), hint);
	if (key == KEY_BROKEN)
		return false;
	if (reader_nil(r))
		return true;
	const uint8_t *value = r->at;
	if (key >= 0)
		field(r, key, event, parts);
	return r->at != value || reader_skip(r);
}

bool
event_decode(struct reader *r, struct event_command *event)
{
	struct event_parts parts = { .kind = NULL };
	const uint8_t *start = r->at;
	uint32_t pairs = 0;
	int hint = 0;
	*event = (struct event_command){ .kind = EVENT_KIND_UNKNOWN, .at = -1, .as_of = -1 };
	if (!reader_map(r, &pairs)) {
		identity(&parts, EVENT_NO_MAP);
		if (!reader_skip(r))
			return false;
	}
	for (; pairs > 0; pairs--) {
		if (!pair(r, event, &parts, &hint))
			return false;
	}
	finish_kind(event, &parts);
	finish_identity(event, &parts);
	event->raw = (struct bytes){ start, (uint32_t)(r->at - start) };
	return true;
}
