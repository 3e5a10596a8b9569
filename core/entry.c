#include "core/entry.h"

uint8_t *
varint_put(uint8_t *at, uint64_t value)
{
	for (; value >= 1u << 7; value >>= 7)
		*at++ = (uint8_t)(value | 0x80);
	*at++ = (uint8_t)value;
	return at;
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

uint8_t *
entry_end_long(uint8_t *start, enum entry_kind kind, uint64_t key, size_t n)
{
	uint64_t head = (uint64_t)kind | (uint64_t)ENTRY_BODY_LONG << 8 | key << 24;
	uint32_t truth = (uint32_t)n;
	memmove(start + ENTRY_HEAD_BYTES + sizeof truth, start + ENTRY_HEAD_BYTES, n);
	memcpy(start, &head, sizeof head);
	memcpy(start + ENTRY_HEAD_BYTES, &truth, sizeof truth);
	return start + ENTRY_HEAD_BYTES + sizeof truth + n;
}

int
step_next(const uint8_t **at, const uint8_t *end, struct cause *cause, const uint8_t **entries, const uint8_t **entries_end)
{
	uint32_t head;
	if (*at == end)
		return 0;
	if (end - *at < STEP_HEAD_BYTES)
		return -1;
	memcpy(&head, *at, sizeof head);
	size_t n = head & STEP_BYTES_MAX;
	if (n < STEP_HEAD_BYTES - 3 || n > (size_t)(end - *at) - 3)
		return -1;
	*cause = (struct cause){ .kind = (enum cause_kind)(head >> 24) };
	const uint8_t *inside = *at + STEP_HEAD_BYTES, *next = *at + 3 + n;
	uint8_t flags = inside[-1];
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
	const uint8_t *body = *at + ENTRY_HEAD_BYTES;
	uint64_t head;
	if (*at == end)
		return 0;
	if (end - *at < ENTRY_HEAD_BYTES)
		return -1;
	memcpy(&head, *at, sizeof head);
	uint32_t n = head >> 8 & ENTRY_BODY_LONG;
	if (n == ENTRY_BODY_LONG) {
		if ((size_t)(end - body) < sizeof n)
			return -1;
		memcpy(&n, body, sizeof n);
		body += sizeof n;
	}
	if (n > (size_t)(end - body))
		return -1;
	*entry = (struct entry_bytes){ .kind = (enum entry_kind)(head & 0xff), .key = head >> 24, .body = body, .body_n = n };
	*at = body + n;
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
