/*
 * till.c: a till that has been offline. Its sales stand in a file of its own, "SKU LOCATION QTY" a line, and the number of the line
 * is the number of the sale. The server says by `position` up to where it has them all; the rest is sent, many at a time, through
 * broken lines. A sale that the server has already is a "duplicate" and changes nothing.
 *
 *   till PORT SOURCE FILE       exit 0: the server has every line
 */
#include <holdfast/async.h>
#include <stdio.h>
#include <stdlib.h>

static bool
answered(struct hf *hf) /* false: the server has not taken this one */
{
	const struct hf_value *answer;
	uint32_t which;
	enum hf_outcome got = hf_receive(hf, &which, &answer);
	const struct hf_value *outcome = got == HF_OK ? &answer->array.items[1].array.items[0] : NULL;
	if (!outcome)
		return fprintf(stderr, "sale not taken: %s\n", hf_error(hf)->message), false;
	/* Rejected: the server keeps it in its quarantine, and has seen it; or it does not, and the till still has it. */
	return !hf_get(outcome, "rejected") || hf_get(outcome, "quarantine");
}

int
main(int argc, char **argv)
{
	struct hf_async_options patient = { .deadline_ms = 60 * 60 * 1000, .retry_refused = true };
	struct hf_failure failure;
	struct hf *hf = argc == 4 ? hf_async_open("127.0.0.1", (uint16_t)atoi(argv[1]), &patient, &failure) : NULL;
	FILE *sales = argc == 4 ? fopen(argv[3], "r") : NULL;
	const struct hf_value *answer;
	char sku[65], location[33];
	long long qty;
	bool all = true;
	if (!hf || !sales || hf_position(hf, argv[2], &answer) != HF_OK)
		return fprintf(stderr, "usage: till PORT SOURCE FILE\n"), 1;
	int64_t known = hf_int(hf_get(answer, "contiguous"), 0);
	for (int64_t n = 1; fscanf(sales, "%64s %32s %lld", sku, location, &qty) == 3; n++) {
		struct hf_stock_event sale = { .source = argv[2], .n = n, .kind = "sale", .sku = sku, .location = location, .qty = qty };
		if (n <= known)
			continue;
		hf_build_post(hf, &sale, 1);
		all &= hf_send(hf) != 0;
		while (hf_in_flight(hf) >= 256)
			all &= answered(hf);
	}
	while (hf_in_flight(hf) > 0)
		all &= answered(hf);
	hf_close(hf);
	fclose(sales);
	return all ? 0 : 1;
}
