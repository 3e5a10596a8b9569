/* progress.h: who looks on while something long works. Called by the thread that made the call, now and then, until it returns. */
#ifndef HOLDFAST_PERSIST_PROGRESS_H
#define HOLDFAST_PERSIST_PROGRESS_H

#include <stddef.h>
#include <stdint.h>

struct progress {
	void (*tell)(void *context, const char *phase, double share); /* of the phase, 0 to 1; a phase is a sentence that lasts */
	void *context;
};

/* NULL: nobody does. */
static inline void
progress_tell(const struct progress *p, const char *phase, uint64_t done, uint64_t of)
{
	if (p != NULL)
		p->tell(p->context, phase, done >= of ? 1.0 : (double)done / (double)of);
}

#endif
