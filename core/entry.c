#include "core/entry.h"

/* The low 28 bits, seven in each of four bytes that all say "more follows". */
static inline uint32_t
spread(uint64_t v)
{
	return (uint32_t)(v & 0x7f) | (uint32_t)(v << 1 & 0x7f00) | (uint32_t)(v << 2 & 0x7f0000) | (uint32_t)(v << 3 & 0x7f000000) | 0x80808080;
}

/* Words, not bytes: most long numbers are instants (6 bytes) and positions. */
uint8_t *
varint_put_long(uint8_t *at, uint64_t value)
{
	uint32_t word = spread(value);
	for (; value >= UINT64_C(1) << 28; word = spread(value)) {
		memcpy(at, &word, 4);
		at += 4;
		value >>= 28;
	}
	if (value < 1u << 14) {
		word &= value < 1u << 7 ? ~0x80u : ~0x8000u;
		memcpy(at, &word, 4);
		return at + (value < 1u << 7 ? 1 : 2);
	}
	word &= value < 1u << 21 ? ~0x800000u : ~0x80000000;
	memcpy(at, &word, 4);
	return at + (value < 1u << 21 ? 3 : 4);
}

const uint8_t *
varint_get(const uint8_t *at, const uint8_t *end, uint64_t *value)
{
	uint64_t v = 0;
	for (unsigned shift = 0; shift < 64; shift += 7) {
		if (at == NULL || at >= end)
			return NULL;
		uint8_t byte = *at++;
		if (shift == 63 && byte > 1)
			return NULL;
		v |= (uint64_t)(byte & 0x7f) << shift;
		if (byte < 0x80) {
			*value = v;
			return at;
		}
	}
	return NULL;
}

/* A varint length and that many bytes. */
static const uint8_t *
string_get(const uint8_t *at, const uint8_t *end, struct bytes *string)
{
	uint64_t n;
	at = varint_get(at, end, &n);
	if (at == NULL || n > (uint64_t)(end - at))
		return NULL;
	*string = (struct bytes){ at, (uint32_t)n };
	return at + n;
}

int
step_next(const uint8_t **at, const uint8_t *end, struct cause *cause, const uint8_t **entries, const uint8_t **entries_end)
{
	struct bytes body;
	if (*at == end)
		return 0;
	const uint8_t *next = string_get(*at, end, &body);
	if (next == NULL || body.n < 2)
		return -1;
	*cause = (struct cause){ .kind = (enum cause_kind)body.at[0] };
	uint8_t flags = body.at[1];
	const uint8_t *inside = body.at + 2;
	if (flags & 1)
		inside = string_get(inside, next, &cause->ref);
	if (inside != NULL && (flags & 2))
		inside = string_get(inside, next, &cause->reason);
	if (inside == NULL || flags > 3)
		return -1;
	*entries = inside;
	*entries_end = next;
	*at = next;
	return 1;
}

int
entry_next(const uint8_t **at, const uint8_t *end, struct entry_bytes *entry)
{
	struct bytes inside;
	if (*at == end)
		return 0;
	enum entry_kind kind = (enum entry_kind)**at;
	const uint8_t *next = string_get(*at + 1, end, &inside);
	if (next == NULL)
		return -1;
	entry->kind = kind;
	entry->body = varint_get(inside.at, next, &entry->key);
	if (entry->body == NULL)
		return -1;
	entry->body_n = (uint32_t)(next - entry->body);
	*at = next;
	return 1;
}

const char *
entry_kind_name(enum entry_kind kind)
{
	switch (kind) {
	case ENTRY_NAME: return "name";
	case ENTRY_OPTION: return "option";
	case ENTRY_GROUP: return "group";
	case ENTRY_CELL: return "cell";
	case ENTRY_FLOOR: return "floor";
	case ENTRY_RESERVATION: return "reservation";
	case ENTRY_SOURCE: return "source";
	case ENTRY_MARK: return "mark";
	case ENTRY_FREE_ID: return "free id";
	case ENTRY_DELTA: return "delta";
	case ENTRY_QUARANTINE: return "quarantine";
	case ENTRY_KIND_END: break;
	}
	return "unknown kind";
}

const char *
cause_kind_name(enum cause_kind kind)
{
	switch (kind) {
	case CAUSE_RESERVE: return "reserve";
	case CAUSE_COMMIT: return "commit";
	case CAUSE_RELEASE: return "release";
	case CAUSE_FULFIL: return "fulfil";
	case CAUSE_EXTEND: return "extend";
	case CAUSE_PIN: return "pin";
	case CAUSE_MOVE: return "move";
	case CAUSE_EXPIRE: return "expire";
	case CAUSE_SALE: return "sale";
	case CAUSE_RETURN: return "return";
	case CAUSE_RECEIPT: return "receipt";
	case CAUSE_ADJUST: return "adjust";
	case CAUSE_UNSELL: return "unsell";
	case CAUSE_RESELL: return "resell";
	case CAUSE_COUNT: return "count";
	case CAUSE_FULFIL_EVENT: return "fulfil event";
	case CAUSE_REJECTED_EVENT: return "rejected event";
	case CAUSE_SKIP: return "skip";
	case CAUSE_POLICY: return "policy";
	case CAUSE_GROUP: return "group";
	case CAUSE_QUARANTINE: return "quarantine";
	case CAUSE_OPTION: return "option";
	}
	return "unknown cause";
}
