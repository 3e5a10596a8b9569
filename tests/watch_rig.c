/* watch_rig.c: see watch_rig.h. */
#include "tests/watch_rig.h"

#include <stdarg.h>

struct peer writer = { .fd = -1 }, watcher = { .fd = -1 }, third = { .fd = -1 };
uint64_t event_n, random_state;

static char history[16];
static const char *const options[] = { "--gate", "off", "--cells-max", "100000", "--reservations-max", "200000", "--history-max", "100000",
	"--free-ids-max", "1000", "--extra-lines-max", "400000", "--segment-bytes", "16M", "--history-bytes", history, "--image-age-ms", "20ms",
	"--queue-age-ms", "0", "--loops", rig_loops, NULL };

static void
peers_close(void)
{
	peer_close(&writer);
	peer_close(&watcher);
	peer_close(&third);
}

static bool
peers_open(void)
{
	return peer_open(&writer, rig_server.rpc) && peer_open(&watcher, rig_server.rpc) && peer_open(&third, rig_server.rpc);
}

bool
watch_begin(const char *history_bytes)
{
	event_n = 0;
	random_state = check_seed(88172645463325252u);
	snprintf(history, sizeof history, "%s", history_bytes);
	return rig_begin(options) && peers_open();
}

bool
watch_again(void)
{
	struct why why;
	peers_close();
	server_kill(&rig_server);
	if (server_start(&rig_server, options, &why) == 0)
		return peers_open();
	printf("%s\n", why.text);
	return false;
}

void
watch_end(void)
{
	peers_close();
	server_remove(&rig_server);
}

bool
watch_anew(struct peer *p)
{
	peer_close(p);
	return peer_open(p, rig_server.rpc);
}

long
event(const char *kind, const char *sku, const char *location, int qty)
{
	long seq = 0;
	const char *answer = peer_ask(&writer, "[0,1,'post',[[{'v':1,'source':'wms','n':%llu,'kind':'%s','sku':'%s','location':'%s','qty':%d}]]]",
	    (unsigned long long)++event_n, kind, sku, location, qty);
	return sscanf(answer, "[1, 1, nil, [%ld, [\"applied\"]]]", &seq) == 1 ? seq : 0;
}

bool
like(const char *text, const char *format, ...)
{
	char pattern[512];
	va_list list;
	va_start(list, format);
	vsnprintf(pattern, sizeof pattern, format, list);
	va_end(list);
	if (wire_like(text, pattern))
		return true;
	printf("     %.300s\n     is not %s\n", text, pattern);
	return false;
}

uint64_t
load(unsigned posts)
{
	uint64_t seq = 0, answered = 0;
	for (unsigned i = 0; i < posts + 4; i++) {
		if (i < posts)
			writer_put(&writer, &random_state, &event_n, 500);
		if (i >= 4 && (answered = writer_answer(&writer)) == 0)
			return 0;
		seq = answered > seq ? answered : seq;
	}
	return seq;
}

bool
fresh(struct copy *c)
{
	uint64_t seq;
	*c = (struct copy){ .full = true };
	return copy_scan(c, &third, "", &seq);
}

long
figure(const char *name)
{
	long n = -1;
	const char *at = strstr(peer_ask(&third, "[0,1,'status',[]]"), name);
	if (at)
		sscanf(at + strlen(name), "\"=>%ld", &n);
	return n;
}
