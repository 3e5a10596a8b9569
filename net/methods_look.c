/*
 * methods_look.c: requests of usual forms in one look. The decoders are those of every other request, here over bytes that the scanner
 * has not seen yet (`fresh` in codec_params.h): what they take is whole and well-formed, since they pass over nothing, and its end is theirs.
 * What they do not take for any reason, also a message that is cut, goes the long way: scanned, decoded, refused in words.
 */
#include "net/methods_part.h"
#include "net/scanner.h"

/* The reservation and the lines of the command; *at: where the command has them, NULL: it takes none. */
static void
command_names(struct request *request, const struct asked_line ***at)
{
	struct command *command = &request->command;
	request->id = (struct bytes){ NULL, 0 };
	request->lines_n = 0;
	*at = NULL;
	switch (command->kind) {
	case COMMAND_RESERVE:
		request->id = command->reserve.id;
		request->lines_n = command->reserve.lines_n;
		*at = &command->reserve.lines;
		break;
	case COMMAND_COMMIT:
	case COMMAND_RELEASE:
	case COMMAND_FULFIL:
		request->id = command->settle.id;
		request->lines_n = command->settle.lines_n;
		*at = &command->settle.lines;
		break;
	case COMMAND_EXTEND:
	case COMMAND_PIN:
		request->id = command->extend.id;
		break;
	case COMMAND_MOVE:
		request->id = command->move.id;
		break;
	default: /* no reservation's */
		break;
	}
}

bool
look_command(struct reader *r, uint32_t params_n, struct request *request)
{
	static _Thread_local struct decode_space space = { .fresh = true };
	const struct asked_line **at;
	if (request->method->decode(r, params_n, &space, &request->command) != STATUS_OK)
		return false;
	command_names(request, &at);
	if (request->lines_n > REQUEST_LINES_MAX)
		return false;
	for (uint32_t i = 0; i < request->lines_n; i++)
		request->lines[i] = (*at)[i]; /* the space is the next request's */
	if (request->lines_n > 0)
		*at = request->lines;
	return true;
}

bool
look_cells(struct reader *r, uint32_t params_n, struct request *request)
{
	request->id = (struct bytes){ NULL, 0 };
	if (params_n != 1 || !reader_array(r, &request->lines_n) || request->lines_n > REQUEST_LINES_MAX)
		return false;
	for (uint32_t i = 0; i < request->lines_n; i++)
		if (!read_cell_name(r, &request->lines[i]))
			return false;
	return true;
}

size_t
methods_look(enum place place, const uint8_t *bytes, size_t n, struct request *request)
{
	struct reader r = { bytes, bytes + (n < FRAME_BYTES_MAX ? n : FRAME_BYTES_MAX) };
	struct bytes name;
	uint32_t params_n;
	if (envelope_open(&r, &request->msgid, &name) != ENVELOPE_REQUEST)
		return 0;
	const struct method *method = request->method = method_find(name);
	if (!method || !method->look || (method->place != place && method->place != PLACE_ANY_LOOP))
		return 0;
	request->found = NULL;
	return reader_array(&r, &params_n) && method->look(&r, params_n, request) ? (size_t)(r.at - bytes) : 0;
}
