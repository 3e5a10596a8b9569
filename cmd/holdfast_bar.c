/* holdfast_bar.c: the contract is in holdfast_bar.h. */
#include "cmd/holdfast_bar.h"
#include "cmd/holdfast_page.h"
#include "net/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define BAR_CELLS 24
#define BAR_EVERY_US 100000
#define COLUMNS_UNKNOWN 80
#define TEXT_BYTES 320

void
bar_begin(struct bar *bar, const char *unit, bool wanted)
{
	const char *term = getenv("TERM");
	bool moves = term && *term && strcmp(term, "dumb") != 0;
	*bar = (struct bar){ .unit = unit, .wanted = wanted && moves && isatty(STDERR_FILENO), .begun_us = clock_steady_ns() / 1000 };
}

double
bar_seconds(const struct bar *bar)
{
	double s = (double)(clock_steady_ns() / 1000 - bar->begun_us) / 1e6;
	return s > 1e-6 ? s : 1e-6;
}

/* Asked each time: windows change. */
static int
columns(void)
{
	struct winsize size;
	return ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : COLUMNS_UNKNOWN;
}

static void
time_left(char to[WORDS], double seconds, double share)
{
	if (share < 0.001)
		snprintf(to, WORDS, "?");
	else
		snprintf(to, WORDS, "%d:%02d", (int)(seconds / share - seconds + 0.5) / 60, (int)(seconds / share - seconds + 0.5) % 60);
}

/* What tells least goes first when the window is narrow: the cells of the bar, then the time left, then the end of the line. */
static void
compose(char to[TEXT_BYTES], const struct bar *bar, double share, const char *text, int room)
{
	static const char full[] = "########################", empty[] = "........................";
	char left[WORDS];
	int used = (int)strlen(text);
	if (share < 0) {
		snprintf(to, TEXT_BYTES, "%.*s", room, text);
		return;
	}
	time_left(left, bar_seconds(bar), share);
	int cells = (int)(share * BAR_CELLS), percent = (int)(share * 100);
	if (used + 2 + 4 + (int)strlen(left) + 8 + BAR_CELLS + 4 <= room)
		snprintf(to, TEXT_BYTES, "[%.*s%.*s] %3d %%  %s  %s to go", cells, full, BAR_CELLS - cells, empty, percent, text, left);
	else if (used + 2 + 5 + (int)strlen(left) + 8 <= room)
		snprintf(to, TEXT_BYTES, "%3d %%  %s  %s to go", percent, text, left);
	else
		snprintf(to, TEXT_BYTES, "%3d %%  %.*s", percent, room > 7 ? room - 7 : 0, text);
}

/* Somebody looks on, and the last time is long enough ago. */
static bool
due(struct bar *bar)
{
	int64_t now_us = bar->wanted ? clock_steady_ns() / 1000 : 0;
	if (!bar->wanted || now_us - bar->drawn_us < BAR_EVERY_US)
		return false;
	bar->drawn_us = now_us;
	return true;
}

static void
draw(struct bar *bar, double share, const char *said)
{
	char text[TEXT_BYTES];
	int room = columns() - 1; /* the last column would wrap the line */
	compose(text, bar, share > 1 ? 1 : share, said, room < TEXT_BYTES - 1 ? room : TEXT_BYTES - 1);
	bar->visible = true;
	fprintf(stderr, "\r\033[K%s", text);
	fflush(stderr);
}

void
bar_draw(struct bar *bar, double share, uint64_t n, uint64_t fresh)
{
	char done[WORDS], rate[WORDS], text[3 * WORDS];
	if (!due(bar))
		return;
	words_count(done, (int64_t)n);
	words_count(rate, (int64_t)((double)fresh / bar_seconds(bar)));
	snprintf(text, sizeof text, "%s %s  %s/s", done, bar->unit, rate);
	draw(bar, share, text);
}

void
bar_tell(void *context, const char *phase, double share)
{
	struct bar *bar = context;
	if (share <= 0 || strcmp(bar->unit, phase) != 0) /* each phase is seen, and has its own time */
		bar_begin(bar, phase, bar->wanted);
	if (due(bar))
		draw(bar, share, phase);
}

void
bar_clear(struct bar *bar)
{
	if (bar->visible)
		fputs("\r\033[K", stderr);
	bar->visible = false;
}
