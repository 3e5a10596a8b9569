/* admission.c: the states. The drawing is in admission.h. */
#include "net/admission.h"

void
admission_init(struct admission *a, int64_t limit_ms)
{
	*a = (struct admission){ .limit_ns = limit_ms * 1000000, .probe_after_ns = PROBE_NS_MIN };
}

static void
state_begin(struct admission *a, enum admission_state state, int64_t now_ns)
{
	a->state = state;
	a->began_ns = now_ns;
	a->since_ns = now_ns;
	a->old = 0;
}

/* The load has ended: what was learnt about probes goes with it. */
static void
calm_begin(struct admission *a, int64_t now_ns)
{
	state_begin(a, ADMISSION_PASSING, now_ns);
	a->probe_after_ns = PROBE_NS_MIN;
}

static void
probe_begin(struct admission *a, int64_t now_ns)
{
	state_begin(a, ADMISSION_PROBING, now_ns);
	a->probe_after_ns = a->probe_after_ns * 2 < PROBE_NS_MAX ? a->probe_after_ns * 2 : PROBE_NS_MAX;
}

/* Under the whole limit: is the queue old (A1)? */
static void
whole_limit_look(struct admission *a, int64_t now_ns, bool old)
{
	int64_t patience_ns = a->state == ADMISSION_PASSING ? OLD_NS : PROBE_OLD_NS;
	if (!old)
		a->old = 0;
	else if (a->old++ == 0)
		a->since_ns = now_ns;
	if (a->old >= OLD_LOOKS_MIN && now_ns - a->since_ns >= patience_ns)
		state_begin(a, ADMISSION_REFUSING, now_ns);
	else if (a->state == ADMISSION_PROBING && now_ns - a->began_ns >= CALM_NS)
		state_begin(a, ADMISSION_PASSING, now_ns);
}

/* Under the lowered limit: was somebody refused lately (A2), is a probe due (A3)? */
static void
lowered_limit_look(struct admission *a, int64_t now_ns, bool late)
{
	if (late)
		a->since_ns = now_ns;
	if (now_ns - a->since_ns >= CALM_NS)
		calm_begin(a, now_ns);
	else if (now_ns - a->began_ns >= a->probe_after_ns)
		probe_begin(a, now_ns);
}

bool
admission_refuses(struct admission *a, int64_t now_ns, int64_t age_ns, int64_t ahead_ns)
{
	bool late = age_ns > a->limit_ns / REFUSING_DIVISOR || ahead_ns > a->limit_ns / AHEAD_DIVISOR;
	if (a->limit_ns == 0)
		return false;
	if (now_ns - a->looked_ns >= CALM_NS) /* A4 */
		calm_begin(a, now_ns);
	a->looked_ns = now_ns;
	if (a->state == ADMISSION_REFUSING)
		lowered_limit_look(a, now_ns, late);
	else
		whole_limit_look(a, now_ns, age_ns > a->limit_ns);
	return a->state == ADMISSION_REFUSING && late;
}
