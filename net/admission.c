/* admission.c: the states and their windows. The drawing is in admission.h. */
#include "net/admission.h"

void
admission_init(struct admission *a, int64_t limit_ms)
{
	*a = (struct admission){ .limit_ns = limit_ms * 1000000, .youngest_ns = INT64_MAX, .probe_after_ns = PROBE_NS_MIN };
}

static void
window_begin(struct admission *a, int64_t now_ns)
{
	a->window_end_ns = now_ns + (a->state == ADMISSION_PROBING ? PROBE_WINDOW_NS : WINDOW_NS);
	a->youngest_ns = INT64_MAX;
	a->oldest_ns = 0;
	a->judged = 0;
}

static void
state_begin(struct admission *a, enum admission_state state, int64_t now_ns)
{
	a->state = state;
	a->began_ns = now_ns;
}

/* What the window that is over says. One in which nobody came says that the load has ended. */
static void
window_judge(struct admission *a, int64_t now_ns)
{
	bool nobody = a->youngest_ns == INT64_MAX || now_ns - a->window_end_ns > WINDOW_NS;
	bool old = !nobody && a->judged >= JUDGED_MIN && a->youngest_ns > a->limit_ns;
	switch (a->state) {
	case ADMISSION_PASSING:
		if (old)
			state_begin(a, ADMISSION_REFUSING, now_ns);
		return;
	case ADMISSION_REFUSING:
		if (nobody || a->oldest_ns <= a->limit_ns / REFUSING_DIVISOR) {
			state_begin(a, ADMISSION_PASSING, now_ns);
			a->probe_after_ns = PROBE_NS_MIN;
		} else if (now_ns - a->began_ns >= a->probe_after_ns) {
			state_begin(a, ADMISSION_PROBING, now_ns);
			a->probe_after_ns = a->probe_after_ns * 2 < PROBE_NS_MAX ? a->probe_after_ns * 2 : PROBE_NS_MAX;
		}
		return;
	case ADMISSION_PROBING:
		if (old)
			state_begin(a, ADMISSION_REFUSING, now_ns);
		else if (nobody || now_ns - a->began_ns >= WINDOW_NS) {
			state_begin(a, ADMISSION_PASSING, now_ns);
			a->probe_after_ns = nobody ? PROBE_NS_MIN : a->probe_after_ns;
		}
		return;
	}
}

bool
admission_refuses(struct admission *a, int64_t now_ns, int64_t age_ns)
{
	if (a->limit_ns == 0)
		return false;
	if (now_ns >= a->window_end_ns) {
		window_judge(a, now_ns);
		window_begin(a, now_ns);
	}
	a->judged++;
	a->youngest_ns = age_ns < a->youngest_ns ? age_ns : a->youngest_ns;
	a->oldest_ns = age_ns > a->oldest_ns ? age_ns : a->oldest_ns;
	return a->state == ADMISSION_REFUSING && age_ns > a->limit_ns / REFUSING_DIVISOR;
}
