/*
 * ini_text.h: the lines of a text for inih, which keeps a bounded number of bytes of one: a longer line would come out as two, and one that
 * begins with a space as more of the value before it. So leading spaces go, comments go whole, and a line that is still too long ends the
 * reading. One thread.
 */
#ifndef HOLDFAST_NET_INI_TEXT_H
#define HOLDFAST_NET_INI_TEXT_H

#include <stdbool.h>

struct ini_text {
	const char *at; /* the next line; borrowed */
	int line; /* the last one given out, from 1 */
	bool too_long; /* that line is; nothing comes after it */
};

/* An ini_reader for ini_parse_stream(); its stream: a struct ini_text. */
char *ini_text_line(char *to, int num, void *text);

#endif
