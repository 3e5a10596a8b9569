/*
 * test_post_rows.c: rows of files as `holdfast post` makes events of them. Each event is shown as JSON with sorted keys.
 */
#include "tests/check.h"
#include "cmd/holdfast_page.h"
#include "cmd/post_row.h"
#include "net/client.h"

#include <unistd.h>
#include <zlib.h>

static char path[256];

static void
write_file(const char *text, bool gzip)
{
	const char *dir = getenv("TMPDIR");
	snprintf(path, sizeof path, "%s/holdfast-rows.XXXXXX", dir ? dir : "/tmp");
	int fd = mkstemp(path);
	if (gzip) {
		gzFile gz = gzdopen(fd, "wb");
		gzwrite(gz, text, (unsigned)strlen(text));
		gzclose(gz);
	} else {
		ssize_t n = write(fd, text, strlen(text));
		if (n < 0)
			perror(path);
		close(fd);
	}
}

/* One event as JSON text into to; a defect as "! sentence". */
static void
show(const struct post_event *e, char *to, size_t size)
{
	if (e->defect) {
		snprintf(to, size, "! %s", e->defect);
		return;
	}
	struct client_zone *zone = client_zone_new();
	json_t *j = page_json(client_parse(zone, e->bytes, e->n));
	char *text = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS);
	snprintf(to, size, "%s", text);
	free(text);
	json_decref(j);
	client_zone_free(zone);
}

/* All events of `text`, one a line, or "? why", into a static buffer. */
static const char *
events_of(const char *text, bool gzip, void (*set)(struct post_rows *))
{
	static char all[65536];
	char one[8192];
	struct why why;
	struct post_event e;
	size_t used = 0;
	write_file(text, gzip);
	struct post_file *f = post_read_open(path, &why);
	struct post_rows *r = post_rows_new();
	if (set)
		set(r);
	all[0] = 0;
	int got = f ? post_rows_begin(r, f, &why) : -1;
	while (got >= 0 && (got = post_rows_next(r, f, &e, &why)) == 1) {
		show(&e, one, sizeof one);
		used += (size_t)snprintf(all + used, sizeof all - used, "%s\n", one);
	}
	if (got < 0)
		snprintf(all + used, sizeof all - used, "? %s\n", why.text);
	post_rows_free(r);
	post_read_close(f);
	unlink(path);
	return all;
}

#define check_text(got, want) \
	do { \
		const char *check_got = (got); \
		if (strcmp(check_got, want) != 0) { \
			printf("     got:  %s     want: %s", check_got, want); \
			check(!"the text is another one"); \
		} \
	} while (0)

static void
columns_stand_in_any_order(void)
{
	check_text(events_of("qty,location,sku,kind,n,source\n2,L1,0042,sale,7,pos-1\n-3,L1,x,adjust,8,pos-1\n", false, NULL),
	    "{\"kind\":\"sale\",\"location\":\"L1\",\"n\":7,\"qty\":2,\"sku\":\"0042\",\"source\":\"pos-1\",\"v\":1}\n"
	    "{\"kind\":\"adjust\",\"location\":\"L1\",\"n\":8,\"qty\":-3,\"sku\":\"x\",\"source\":\"pos-1\",\"v\":1}\n");
}

static void
gzip_is_read_like_plain(void)
{
	check_text(events_of("source,n,kind\ns,1,sale\n", true, NULL), "{\"kind\":\"sale\",\"n\":1,\"source\":\"s\",\"v\":1}\n");
}

static void
a_gzip_file_that_was_cut_off_is_told_and_its_last_piece_of_a_row_is_none(void)
{
	struct why why;
	struct bytes line;
	int got;
	write_file("source,n,kind\ns,1,sale\ns,2,sale\ns,3,sale\ns,4,return\n", true);
	check_equal(truncate(path, 30), 0);
	struct post_file *f = post_read_open(path, &why);
	check(f != NULL);
	do
		got = post_read_line(f, false, &line, &why);
	while (got == 1 && line.at[line.n - 1] == '\n');
	check_equal(got, -1);
	check(strstr(why.text, "have no end") != NULL);
	post_read_close(f);
	unlink(path);
}

static void
quotes_may_hold_commas_quotes_and_ends_of_line(void)
{
	check_text(events_of("source,n,kind,reason\r\ns,1,adjust,\"a, \"\"b\"\"\nc\"\r\n\r\ns,2,adjust,d\r\n", false, NULL),
	    "{\"kind\":\"adjust\",\"n\":1,\"reason\":\"a, \\\"b\\\"\\nc\",\"source\":\"s\",\"v\":1}\n"
	    "{\"kind\":\"adjust\",\"n\":2,\"reason\":\"d\",\"source\":\"s\",\"v\":1}\n");
}

static void
a_carriage_return_inside_a_row_ends_nothing(void)
{
	static char text[140000];
	static const char too_long[] = "! the event is longer than 2,048 bytes\n";
	char want[256];
	check_text(events_of("source,n,kind,reason\r\ns,1,adjust,a\rb \r\ns,2,sale,\"c\"\r\ns,3,sale,d\r", false, NULL),
	    "{\"kind\":\"adjust\",\"n\":1,\"reason\":\"a\\rb\",\"source\":\"s\",\"v\":1}\n"
	    "{\"kind\":\"sale\",\"n\":2,\"reason\":\"c\",\"source\":\"s\",\"v\":1}\n"
	    "{\"kind\":\"sale\",\"n\":3,\"reason\":\"d\",\"source\":\"s\",\"v\":1}\n");
	/* A quote behind it used to take two records for one field, longer than there was room for. */
	size_t n = (size_t)snprintf(text, sizeof text, "source,n,kind,reason\ns,1,sale,x\r\"%060000d\n", 1);
	snprintf(text + n, sizeof text - n, "%060000d\"\ns,3,sale,\n", 2);
	snprintf(want, sizeof want, "%s%s{\"kind\":\"sale\",\"n\":3,\"source\":\"s\",\"v\":1}\n", too_long, too_long);
	check_text(events_of(text, false, NULL), want);
}

static void
the_original_row_is_at_hand_whole(void)
{
	struct why why;
	struct post_event e;
	write_file("source,n,kind,reason\r\ns,1,adjust,\"a\nb\"\r\ns,2,sale,\n", false);
	struct post_file *f = post_read_open(path, &why);
	struct post_rows *r = post_rows_new();
	check(f && post_rows_begin(r, f, &why) == 0);
	static const char *const want[] = { "s,1,adjust,\"a\nb\"", "s,2,sale," };
	for (int i = 0; i < 2; i++) {
		check_equal(post_rows_next(r, f, &e, &why), 1);
		struct bytes line = post_read_record(f);
		check_equal(line.n, strlen(want[i]));
		check(memcmp(line.at, want[i], line.n) == 0);
	}
	post_rows_free(r);
	post_read_close(f);
	unlink(path);
}

static void
a_last_line_without_an_end_is_a_row(void)
{
	check_text(events_of("source,n,kind\ns,1,sale", false, NULL), "{\"kind\":\"sale\",\"n\":1,\"source\":\"s\",\"v\":1}\n");
}

static void
times_are_read_as_milliseconds_or_as_dates(void)
{
	check_text(events_of("source,n,kind,at\ns,1,sale,1291191960000\ns,2,sale,2010-12-01T08:26:00\ns,3,sale,2010-12-01 08:26Z\n"
			     "s,4,sale,2024-02-29\ns,5,sale,2010-13-01\ns,6,sale,1970-01-01T00:00:00.001\n", false, NULL),
	    "{\"at\":1291191960000,\"kind\":\"sale\",\"n\":1,\"source\":\"s\",\"v\":1}\n"
	    "{\"at\":1291191960000,\"kind\":\"sale\",\"n\":2,\"source\":\"s\",\"v\":1}\n"
	    "{\"at\":1291191960000,\"kind\":\"sale\",\"n\":3,\"source\":\"s\",\"v\":1}\n"
	    "{\"at\":1709164800000,\"kind\":\"sale\",\"n\":4,\"source\":\"s\",\"v\":1}\n"
	    "{\"at\":\"2010-13-01\",\"kind\":\"sale\",\"n\":5,\"source\":\"s\",\"v\":1}\n"
	    "{\"at\":1,\"kind\":\"sale\",\"n\":6,\"source\":\"s\",\"v\":1}\n");
}

static void
a_value_that_does_not_fit_goes_along_as_text(void)
{
	check_text(events_of("source,n,kind,qty\ns,1,sale,1.5\ns,2,sale,\ns,3,sale,99999999999999999999\n", false, NULL),
	    "{\"kind\":\"sale\",\"n\":1,\"qty\":\"1.5\",\"source\":\"s\",\"v\":1}\n"
	    "{\"kind\":\"sale\",\"n\":2,\"source\":\"s\",\"v\":1}\n"
	    "{\"kind\":\"sale\",\"n\":3,\"qty\":\"99999999999999999999\",\"source\":\"s\",\"v\":1}\n");
}

static void
set_defaults(struct post_rows *r)
{
	post_rows_default(r, "source", 6, "till");
	post_rows_default(r, "kind", 4, "sale");
	post_rows_column(r, "article", 7, "sku");
	post_rows_column(r, "price", 5, NULL);
	post_rows_number(r, 10);
}

static void
defaults_renamed_columns_and_numbers_fill_rows(void)
{
	check_text(events_of("article,price,kind\nA,9.99,\nB,1,return\n", false, set_defaults),
	    "{\"kind\":\"sale\",\"n\":10,\"sku\":\"A\",\"source\":\"till\",\"v\":1}\n"
	    "{\"kind\":\"return\",\"n\":11,\"sku\":\"B\",\"source\":\"till\",\"v\":1}\n");
}

static void
json_lines_are_rows_too(void)
{
	check_text(events_of("\n{\"sku\":\"A\",\"qty\":2,\"at\":\"2010-12-01T08:26\",\"n\":5}\n  {\"sku\":\"B\",\"x\":[1,{\"y\":null}]}\nno\n", false,
		       set_defaults),
	    "{\"at\":1291191960000,\"kind\":\"sale\",\"n\":5,\"qty\":2,\"sku\":\"A\",\"source\":\"till\"}\n"
	    "{\"kind\":\"sale\",\"n\":11,\"sku\":\"B\",\"source\":\"till\",\"x\":[1,{\"y\":null}]}\n"
	    "! the line is no JSON object\n");
}

static void
headers_that_cannot_be_right_are_told(void)
{
	static const struct {
		const char *text, *says;
	} row[] = {
		{ "source,n,kind,quantity\n", "column 'quantity'" },
		{ "source,n,kind,n\n", "two columns for 'n'" },
		{ "source,n,\x02\x1b[2J\n", "no text" },
		{ "source;n;kind\n", "separated by semicolons: commas" },
		{ "source\tn\tkind\n", "separated by tabs: commas" },
		{ "n,kind\n1,sale\n", "no source" },
		{ "source,kind\ns,sale\n", "no identity" },
		{ "source,n\ns,1\n", "no kind" },
		{ "", "empty" },
	};
	for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
		const char *got = events_of(row[i].text, false, NULL);
		check(got[0] == '?');
		check(strstr(got, row[i].says) != NULL);
	}
}

static void
rows_that_cannot_be_sent_have_a_defect(void)
{
	static char text[70000];
	check_text(events_of("source,n,kind\ns,1,sale,more\ns,2,\"sale\n", false, NULL),
	    "! the row has more fields than the header\n! a quote is opened and never closed\n");
	check_text(events_of("source,n,kind\ns,2,\"sale", false, NULL), "! a quote is opened and never closed\n");
	snprintf(text, sizeof text, "source,n,kind,ref\ns,1,sale,%03000d\n", 1);
	check_text(events_of(text, false, NULL), "! the event is longer than 2,048 bytes\n");
	size_t n = (size_t)snprintf(text, sizeof text, "source,n,kind,ref\ns,1,sale,\"");
	memset(text + n, 'x', 66000);
	check(strstr(events_of(text, false, NULL), "longer than 64 KiB") != NULL);
}

static char long_value[70001];

static void
set_long_default(struct post_rows *r)
{
	memset(long_value, 'v', sizeof long_value - 1);
	post_rows_default(r, "reason", 6, long_value);
}

static void
set_long_number(struct post_rows *r)
{
	post_rows_number(r, INT64_C(1) << 52);
}

/* A list of n numbers, which take nine bytes each as msgpack, and what stands behind it in the row. */
static const char *
filled_row(char *to, size_t size, int n, const char *behind)
{
	size_t used = (size_t)snprintf(to, size, "{\"x\":[");
	for (int i = 0; i < n; i++)
		used += (size_t)snprintf(to + used, size - used, i ? ",1.0" : "1.0");
	snprintf(to + used, size - used, "]%s}\n", behind);
	return to;
}

/* Whatever a row holds, what becomes of it stays inside its room: under the address sanitizer this shows. */
static void
a_row_that_fills_the_room_of_an_event_is_too_long_and_nothing_more(void)
{
	static char text[70000];
	static const char too_long[] = "! the event is longer than 2,048 bytes\n";
	int full = (int)POST_EVENT_ROOM / 9;
	for (int n = full - 12; n <= full; n++) {
		filled_row(text, sizeof text, n, ",\"at\":\"no time, but as long as the longest text that is taken for one\"");
		check_text(events_of(text, false, NULL), too_long);
		check_text(events_of(filled_row(text, sizeof text, n, ""), false, set_long_number), too_long);
		check_text(events_of(filled_row(text, sizeof text, n, ",\"\":\"\""), false, set_long_default), too_long);
	}
	check_text(events_of("source,n,kind\ns,1,sale\n", false, set_long_default), too_long);
}

static void
a_file_longer_than_the_buffer_is_read_whole(void)
{
	enum { ROWS = 40000 };
	static char text[ROWS * 24 + 64];
	struct why why;
	struct post_event e;
	size_t used = (size_t)snprintf(text, sizeof text, "source,n,kind\n");
	for (int i = 1; i <= ROWS; i++)
		used += (size_t)snprintf(text + used, sizeof text - used, "s-%d,%d,sale\n", i % 100, i);
	write_file(text, false);
	struct post_file *f = post_read_open(path, &why);
	struct post_rows *r = post_rows_new();
	check(f && post_rows_begin(r, f, &why) == 0);
	for (int i = 1; i <= ROWS; i++) {
		check_equal(post_rows_next(r, f, &e, &why), 1);
		check_equal(e.number, i);
		check(e.source.n == (i % 100 < 10 ? 3 : 4));
	}
	check_equal(post_rows_next(r, f, &e, &why), 0);
	check_equal(post_rows_count(r), ROWS);
	check(post_read_share(f) > 0.99);
	post_rows_free(r);
	post_read_close(f);
	unlink(path);
}

static const struct check tests[] = {
	CHECK(columns_stand_in_any_order),
	CHECK(gzip_is_read_like_plain),
	CHECK(a_gzip_file_that_was_cut_off_is_told_and_its_last_piece_of_a_row_is_none),
	CHECK(quotes_may_hold_commas_quotes_and_ends_of_line),
	CHECK(a_carriage_return_inside_a_row_ends_nothing),
	CHECK(the_original_row_is_at_hand_whole),
	CHECK(a_last_line_without_an_end_is_a_row),
	CHECK(times_are_read_as_milliseconds_or_as_dates),
	CHECK(a_value_that_does_not_fit_goes_along_as_text),
	CHECK(defaults_renamed_columns_and_numbers_fill_rows),
	CHECK(json_lines_are_rows_too),
	CHECK(headers_that_cannot_be_right_are_told),
	CHECK(rows_that_cannot_be_sent_have_a_defect),
	CHECK(a_row_that_fills_the_room_of_an_event_is_too_long_and_nothing_more),
	CHECK(a_file_longer_than_the_buffer_is_read_whole),
};

int
main(int argc, char **argv)
{
	return check_run(argv[0], tests, sizeof tests / sizeof *tests, argc, argv);
}
