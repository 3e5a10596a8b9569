/* holdfast-bench.c: the rehearsal tool's main: subcommands and files. The work is in bench/rehearse*.c. */
#include "bench/rehearse.h"

#include <stdio.h>

int
main(int argc, char **argv)
{
	static struct scenario s;
	struct why why = { "" };
	if (scenario_read(&s, argv[1], &why) < 0)
		goto bad;
	for (int i = 2; i < argc; i++)
		if (scenario_set(&s, argv[i], &why) < 0)
			goto bad;
	if (scenario_check(&s, &why) < 0)
		goto bad;
	struct rehearsal r = { .scenario = &s };
	json_t *report = rehearse(&r, &why);
	if (!report)
		goto bad;
	report_print(stdout, report);
	json_dump_file(report, "/tmp/rehearse.json", JSON_COMPACT | JSON_REAL_PRECISION(6));
	return report_good(report) ? 0 : 1;
bad:
	fprintf(stderr, "holdfast-bench: %s\n", why.text);
	return 2;
}
