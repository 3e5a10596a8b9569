/* server_rig.c: see server_rig.h. */
#include "tests/server_rig.h"

struct server rig_server;
char rig_loops[4] = "1";

const char *const rig_small[] = { "--gate", "off", "--cells-max", "100000", "--reservations-max", "200000", "--history-max", "100000",
	"--free-ids-max", "1000", "--extra-lines-max", "400000", "--segment-bytes", "16M", "--loops", rig_loops,
	"--queue-age-ms", "0" /* what is sent at once here may take longer under a sanitizer */, NULL };

static bool
start(const char *const *options)
{
	struct why why;
	if (server_start(&rig_server, options, &why) == 0)
		return true;
	printf("%s\n", why.text);
	return false;
}

bool
rig_begin(const char *const *options)
{
	struct why why;
	if (server_init(&rig_server, &why) == 0)
		return start(options);
	printf("%s\n", why.text);
	return false;
}

bool
rig_again(void)
{
	return start(rig_small);
}

bool
rig_receive(struct peer *p, int n, const char *sku, int qty)
{
	return wire_like(peer_ask(p, "[0,%d,'post',[[{'v':1,'source':'wms','n':%d,'kind':'receipt','sku':'%s','location':'L','qty':%d}]]]",
	    n, n, sku, qty), "[1, *, nil, [*, [\"applied\"]]]");
}

long
rig_ats(struct peer *p, const char *sku)
{
	long seq, n = -1;
	const char *answer = peer_ask(p, "[0,7,'ats',[[['%s','L']]]]", sku);
	return sscanf(answer, "[1, 7, nil, [%ld, [%ld]]]", &seq, &n) == 2 ? n : -1;
}

void
rig_two_loops(void (*test)(void))
{
	strcpy(rig_loops, "2");
	test();
	strcpy(rig_loops, "1");
}

int
rig_run(const struct check *tests, size_t n, int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	int status = check_run(argv[0], tests, n, argc, argv);
	server_remove(&rig_server);
	return status;
}
