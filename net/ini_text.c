/* ini_text.c: the contract is in ini_text.h. */
#include "net/ini_text.h"

#include <stddef.h>
#include <string.h>

char *
ini_text_line(char *to, int num, void *text)
{
	struct ini_text *t = text;
	if (!*t->at || t->too_long)
		return NULL;
	size_t n = strcspn(t->at, "\n"), skip = strspn(t->at, " \t\r");
	const char *line = t->at + (skip < n ? skip : n);
	n -= (size_t)(line - t->at);
	t->at = line + n + (line[n] == '\n');
	t->line++;
	if (n > 0 && (*line == '#' || *line == ';'))
		n = 0;
	t->too_long = n + 2 > (size_t)num;
	if (t->too_long)
		return NULL;
	memcpy(to, line, n);
	memcpy(to + n, "\n", 2);
	return to;
}
