/* post_key.c: see post_key.h. */
#include "cmd/post_key.h"
#include "net/codec_write.h"

#include <stdio.h>

enum value_kind { TEXT, INTEGER, INSTANT };

static const struct {
	const char *name;
	uint32_t n;
	enum value_kind kind;
} key_table[] = {
#define X(name, text, kind) { text, sizeof(text) - 1, kind },
	POST_KEYS(X)
#undef X
};

int
post_key_find(const char *name, size_t n)
{
	for (int k = 0; k < POST_KEY_COUNT; k++)
		if (key_table[k].n == n && memcmp(key_table[k].name, name, n) == 0)
			return k;
	return -1;
}

const char *
post_key_name(enum post_key key)
{
	return key_table[key].name;
}

/* Decimal digits with an optional sign, at most 18 of them. */
static bool
integer(struct bytes v, int64_t *n)
{
	bool negative = v.n > 0 && v.at[0] == '-';
	uint32_t i = negative || (v.n > 0 && v.at[0] == '+');
	int64_t sum = 0;
	if (i == v.n || v.n - i > 18)
		return false;
	for (; i < v.n; i++) {
		if (v.at[i] < '0' || v.at[i] > '9')
			return false;
		sum = sum * 10 + (v.at[i] - '0');
	}
	*n = negative ? -sum : sum;
	return true;
}

static bool
digits(struct bytes v, uint32_t at, uint32_t n, int64_t low, int64_t high, int64_t *number)
{
	struct bytes part = { v.at + at, n };
	return at + n <= v.n && v.at[at] >= '0' && integer(part, number) && *number >= low && *number <= high;
}

/* Days since 1970 of a date of the Gregorian calendar (the era of 400 years has 146,097 days; years begin in March). */
static int64_t
days_from(int64_t y, int64_t m, int64_t d)
{
	y -= m <= 2;
	int64_t era = y / 400, of_era = y - era * 400;
	int64_t of_year = (153 * (m + (m > 2 ? -3 : 9)) + 2) / 5 + d - 1;
	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* Milliseconds, or 2010-12-01[T ]08:26[:00[.123]][Z], UTC. */
static bool
instant(struct bytes v, int64_t *ms)
{
	int64_t y, mo, d, h = 0, mi = 0, s = 0, f = 0;
	uint32_t at = 10;
	if (integer(v, ms))
		return true;
	if (v.n > 0 && v.at[v.n - 1] == 'Z')
		v.n--;
	if (!digits(v, 0, 4, 1970, 2500, &y) || v.at[4] != '-' || !digits(v, 5, 2, 1, 12, &mo) || v.n < 10 || v.at[7] != '-' ||
	    !digits(v, 8, 2, 1, 31, &d))
		return false;
	if (at < v.n) {
		if ((v.at[10] != 'T' && v.at[10] != ' ') || !digits(v, 11, 2, 0, 23, &h) || v.n < 16 || v.at[13] != ':' ||
		    !digits(v, 14, 2, 0, 59, &mi))
			return false;
		at = 16;
	}
	if (at < v.n) {
		if (v.at[16] != ':' || !digits(v, 17, 2, 0, 60, &s))
			return false;
		at = 19;
	}
	if (at < v.n) {
		if (v.at[19] != '.' || !digits(v, 20, 3, 0, 999, &f))
			return false;
		at = 23;
	}
	*ms = ((days_from(y, mo, d) * 24 + h) * 60 + mi) * 60000 + s * 1000 + f;
	return at == v.n;
}

struct bytes
post_key_default(const struct post_defaults *d, enum post_key key, char text[POST_NUMBER_TEXT])
{
	if (d->value[key].n || key != POST_N || !d->next_number)
		return d->value[key];
	int n = snprintf(text, POST_NUMBER_TEXT, "%lld", (long long)d->next_number);
	return (struct bytes){ (const uint8_t *)text, (uint32_t)n };
}

uint8_t *
post_key_put(uint8_t *p, const uint8_t *end, enum post_key key, struct bytes value, int64_t *number)
{
	struct bytes name = { (const uint8_t *)key_table[key].name, key_table[key].n };
	enum value_kind kind = key_table[key].kind;
	int64_t n;
	/* An integer never takes more than its text and a head would. */
	if ((size_t)(end - p) < (size_t)name.n + value.n + 2 * WIRE_STR_HEAD_MAX)
		return NULL;
	p = wire_str(p, name);
	if (kind == TEXT || !(kind == INTEGER ? integer(value, &n) : instant(value, &n)))
		return wire_str(p, value);
	*number = n;
	return wire_int(p, n);
}
