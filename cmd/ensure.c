/*
 * ensure.c: where a bug that an assertion found ends, in every program.
 */
#include "core/base.h"

#include <stdio.h>
#include <stdlib.h>

void
ensure_failed(const char *what, const char *file, int line)
{
	fprintf(stderr, "%s:%d: ensured and not so: %s\n", file, line, what);
	abort();
}
