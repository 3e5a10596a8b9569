/* counters.c: names of the counters. See counters.h. */
#include "net/counters.h"

static const struct {
	const char *name, *help;
} texts[COUNTER_COUNT] = {
#define X(name, text, help) [COUNTER_##name] = { text, help },
	COUNTER_LIST(X)
#undef X
};

const char *
counter_name(enum counter c)
{
	return texts[c].name;
}

const char *
counter_help(enum counter c)
{
	return texts[c].help;
}
