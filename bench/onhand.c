/*
 * onhand.c: holdfast-onhand HOST PORT < "sku,location" lines: prints "sku,location,on_hand" for each, in order; an unknown SKU
 * or location has nothing in the third place. For scripts that compare many cells with sums of their own.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "holdfast/holdfast.h"

#define CELLS_AT_ONCE 500
#define CALL_MS 30000

static char text[CELLS_AT_ONCE][160];
static struct hf_line cell[CELLS_AT_ONCE];

/* Up to CELLS_AT_ONCE lines; how many. */
static uint32_t
read_some(void)
{
	uint32_t n = 0;
	while (n < CELLS_AT_ONCE && fgets(text[n], sizeof text[n], stdin)) {
		char *comma = strchr(text[n], ',');
		text[n][strcspn(text[n], "\n")] = 0;
		if (!comma)
			continue;
		*comma = 0;
		cell[n] = (struct hf_line){ text[n], comma + 1, 0 };
		n++;
	}
	return n;
}

int
main(int argc, char **argv)
{
	struct hf_failure failure;
	const struct hf_value *value;
	uint32_t n;
	if (argc != 3) {
		fputs("usage: holdfast-onhand HOST PORT < LINES   (each: sku,location)\n", stderr);
		return 2;
	}
	struct hf *hf = hf_connect(argv[1], (uint16_t)atoi(argv[2]), CALL_MS, &failure);
	if (!hf) {
		fprintf(stderr, "%s\n", failure.message);
		return 1;
	}
	while ((n = read_some()) > 0) {
		if (hf_stock(hf, cell, n, &value) != HF_OK) {
			fprintf(stderr, "%s\n", hf_error(hf)->message);
			return 1;
		}
		for (uint32_t i = 0; i < n; i++) {
			const struct hf_value *v = &value->array.items[1].array.items[i];
			if (v->type == HF_MAP)
				printf("%s,%s,%lld\n", cell[i].sku, cell[i].location, (long long)hf_int(hf_get(v, "on_hand"), 0));
			else
				printf("%s,%s,\n", cell[i].sku, cell[i].location);
		}
	}
	hf_close(hf);
	return 0;
}
