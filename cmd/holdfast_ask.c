/*
 * holdfast_ask.c: `gate`: what a gate says of itself, asked over nanomsg like an event, and in words what an operator should know of it.
 */
#include "cmd/holdfast_cli.h"
#include "cmd/holdfast_page.h"
#include "net/client.h"
#include "net/gate_post.h"

#include <stdio.h>
#include <string.h>

const char cli_gate_more[] =
    "HOST:PORT is the gate's --events; else the environment's HOLDFAST_EVENTS, else 127.0.0.1:7401.\n";

static const uint8_t question[] = "\x82\xa1v\x01\xa3" "ask\xa6status"; /* {v: 1, ask: "status"} */

static int64_t
figure(const struct hf_value *map, const char *key)
{
	return hf_int(hf_get(map, key), 0);
}

static void
print_spool(const struct hf_value *g)
{
	char a[WORDS], b[WORDS], c[WORDS];
	int64_t most = figure(g, "spool_bytes_max"), waiting = figure(g, "spool_waiting");
	if (most == 0) {
		puts("spool        none: while the server is away, messages wait in memory and unanswered");
		return;
	}
	printf("spool        %s events wait", words_count(a, waiting));
	if (waiting)
		printf(", the oldest for %s", words_duration(a, figure(g, "spool_oldest_ms")));
	printf("; %s of %s used, %s events delivered\n", words_bytes(a, figure(g, "spool_bytes")), words_bytes(b, most),
	    words_count(c, figure(g, "spool_delivered")));
}

static const struct {
	const char *name, *says;
} warning[] = {
	{ "spool_full", "%s messages were refused because the spool was full: --spool-bytes-max makes it larger" },
	{ "spool_later", "%s events are refused for now and tried again: 'holdfast position SOURCE' says what is missing before them" },
	{ "spool_refused", "%s events were neither taken nor kept by the server: they are in the spool's file 'refused'" },
	{ "spool_unfit", "%s events could not be queued: no identity, or too long" },
	{ "push_refused", "%s pushed messages were dropped: no msgpack, or too large" },
	{ "push_rejected", "%s pushed messages were dropped by an error of the server" },
	{ "restarts", "the gate died and was started again %s times: see its log" },
};

static void
gate_for_people(const char *host, uint16_t port, const struct hf_value *g)
{
	static const char *const elsewhere[] = { "server_up", "in_flight", "in_flight_bytes", "messages", "bytes", "spool_waiting", "spool_oldest_ms",
		"spool_bytes", "spool_bytes_max", "spool_delivered", "pid" };
	char a[WORDS], b[WORDS], text[256];
	bool up = figure(g, "server_up") != 0;
	printf("gate on %s:%u, process %lld\n", host, port, (long long)figure(g, "pid"));
	printf("server       %s\n", up ? "connected" : "away");
	printf("messages     %s taken, %s; ", words_count(a, figure(g, "messages")), words_bytes(b, figure(g, "bytes")));
	printf("%s unanswered now, %s\n", words_count(a, figure(g, "in_flight")), words_bytes(b, figure(g, "in_flight_bytes")));
	print_spool(g);
	page_counters(g, elsewhere, sizeof elsewhere / sizeof *elsewhere);
	puts("");
	if (!up)
		puts("warning: the server is away: is it running, is --server of the gate right?");
	for (size_t i = 0; i < sizeof warning / sizeof *warning; i++) {
		const char *says = warning[i].says, *gap = strstr(says, "%s");
		if (figure(g, warning[i].name) == 0)
			continue;
		snprintf(text, sizeof text, "%.*s%s%s", (int)(gap - says), says, words_count(a, figure(g, warning[i].name)), gap + 2);
		printf("warning: %s\n", text);
	}
}

/* The answer, or NULL after it was said why not. Borrowed from both until they end. */
static const struct hf_value *
ask(const struct cli *cli, struct gate_post *gate, struct client_zone *zone)
{
	struct why why = { "" };
	const uint8_t *reply;
	uint64_t number;
	size_t n;
	int got = gate_post_send(gate, 1, question, sizeof question - 1, &why);
	if (got == 1)
		got = gate_post_receive(gate, cli->timeout_ms, &number, &reply, &n, &why);
	if (got == 0)
		snprintf(why.text, sizeof why.text, "the gate does not answer within %d ms: its queue may be full (kill -USR1 of its process prints the counters)",
		    cli->timeout_ms);
	const struct hf_value *answer = got == 1 ? client_parse(zone, reply, n) : NULL, *counters = hf_get(answer, "gate");
	if (answer && !counters)
		snprintf(why.text, sizeof why.text, "that gate does not say how it is: it is older than this program");
	if (!counters)
		cli_say(cli, CLI_UNREACHABLE, "unreachable", "%s", why.text);
	return counters;
}

int
cli_gate(struct cli *cli, int argc, char **argv)
{
	char host[256];
	uint16_t port;
	bool named;
	struct why why;
	if (argc > 1)
		return cli_usage(cli, "one gate at a time: HOST:PORT");
	if (!cli_gate_address(cli, argc ? argv[0] : NULL, host, &port, &named))
		return CLI_USAGE;
	struct gate_post *gate = gate_post_open(host, port, &why);
	if (!gate)
		return cli_say(cli, CLI_UNREACHABLE, "unreachable", "%s", why.text);
	struct client_zone *zone = client_zone_new();
	const struct hf_value *counters = zone ? ask(cli, gate, zone) : NULL;
	if (counters && cli->json)
		page_json_out(page_json(counters));
	else if (counters)
		gate_for_people(host, port, counters);
	client_zone_free(zone);
	gate_post_close(gate);
	return counters ? CLI_OK : CLI_UNREACHABLE;
}
