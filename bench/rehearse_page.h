/*
 * rehearse_page.h: a report of holdfast-bench (REPORT.md) as one HTML page that can be sent to somebody: opened from the disk, without a
 * network, it draws itself. The page carries its style, its scripts, the library that draws, and the report's JSON.
 *
 * Page invariants (tests/test_rehearse_page.c, tests/test_page_browser.sh):
 *   HP1  The page refers to nothing outside itself, and forbids the browser to fetch anything (its Content-Security-Policy).
 *   HP2  The report stands in it whole: the text of <script id="report"> is JSON equal to it.
 *   HP3  No name in the report ends that script or begins another: `<` never occurs in that text. The scripts put the report's words into
 *        the page as text only, never as markup.
 */
#ifndef HOLDFAST_BENCH_REHEARSE_PAGE_H
#define HOLDFAST_BENCH_REHEARSE_PAGE_H

#include <jansson.h>
#include <stdio.h>

/* Writes the page of `report`, which it borrows. 0, or -1: memory ran out or `to` took not all of it (its errno says why). */
int rehearse_page_write(FILE *to, const json_t *report);

#endif
