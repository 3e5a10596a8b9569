/*
 * ensure.c: where a failed ensure() of the code under test goes: it says where and aborts.
 */
#include "core/base.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void
ensure_failed(const char *what, const char *file, int line)
{
	fflush(stdout);
	fprintf(stderr, "%s:%d: ensure(%s) failed\n", file, line, what);
	abort();
}
