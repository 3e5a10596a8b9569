/*
 * checkout.c: hold the goods, take the money, make the promise firm. Everything goes by the cart's id, so the same command may be
 * run again after any kind of end: it goes on where it was.
 *
 *   checkout PORT CART SKU LOCATION QTY      exit 0: sold; 1: not sold, nothing kept; 2: paid, and no answer yet: run it again
 */
#include <holdfast/async.h>
#include <stdio.h>
#include <stdlib.h>

static bool
pay(const char *cart) /* stands for the payment service, which must be idempotent by the cart's id, too */
{
	return printf("paid: %s\n", cart) > 0;
}

static int
sell(struct hf *hf, const char *cart, const struct hf_line *line)
{
	struct hf_reserve_options hold = { .ttl_ms = 10 * 60 * 1000 };
	const struct hf_value *answer;
	enum hf_outcome got = hf_reserve(hf, cart, line, 1, &hold, &answer);
	if (got == HF_UNKNOWN) /* it may be held: give it back. Is that lost, too, then the hold ends by its ttl */
		hf_release(hf, cart, NULL, 0, NULL, &answer);
	if (got != HF_OK)
		return printf("not sold: %s\n", hf_error(hf)->message), 1;
	if (!pay(cart))
		return hf_release(hf, cart, NULL, 0, NULL, &answer), 1;
	for (int tries = 0; tries < 6; tries++) { /* each has its deadline of 10 s, and is repeated within it */
		got = hf_commit(hf, cart, NULL, 0, NULL, &answer);
		if (got == HF_OK)
			return printf("sold: %s\n", cart), 0;
		if (got == HF_REFUSED) /* "expired": paying took longer than the hold */
			return printf("pay back: %s\n", hf_error(hf)->message), 1;
	}
	return printf("paid, not yet firm: %s\n", hf_error(hf)->message), 2;
}

int
main(int argc, char **argv)
{
	struct hf_failure failure;
	struct hf *hf = argc == 6 ? hf_async_open("127.0.0.1", (uint16_t)atoi(argv[1]), NULL, &failure) : NULL;
	if (!hf)
		return fprintf(stderr, "usage: checkout PORT CART SKU LOCATION QTY\n"), 1;
	struct hf_line line = { argv[3], argv[4], atoll(argv[5]) };
	int status = sell(hf, argv[2], &line);
	hf_close(hf);
	return status;
}
