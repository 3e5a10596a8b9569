/* gate_raw.c: nn_recvmsg and nn_sendmsg with one control record, SP_HDR: a size_t, then that many bytes of header. */
#include "net/gate_raw.h"

#include "core/base.h"

#include <errno.h>
#include <nanomsg/nn.h>

/* The control buffer nanomsg fills and reads: record head, length word, header. Aligned as a record must be. */
union control {
	struct nn_cmsghdr align;
	uint8_t at[NN_CMSG_SPACE(sizeof(size_t) + RAW_HEADER_BYTES_MAX)];
};

/* False: not there, or longer than a header may be (nanomsg then fills nothing in: the record keeps its zero length). */
static bool
header_take(const union control *control, struct raw_header *header)
{
	size_t n;
	if (control->align.cmsg_len == 0 || control->align.cmsg_level != PROTO_SP || control->align.cmsg_type != SP_HDR)
		return false;
	memcpy(&n, control->at + sizeof control->align, sizeof n);
	if (n > RAW_HEADER_BYTES_MAX)
		return false;
	header->n = (uint32_t)n;
	memcpy(header->at, control->at + sizeof control->align + sizeof n, n);
	return true;
}

int
raw_receive(int socket, struct raw_header *header, uint8_t **body, size_t *n)
{
	for (;;) {
		union control control;
		void *chunk = NULL;
		struct nn_iovec part = { &chunk, NN_MSG };
		struct nn_msghdr message = { .msg_iov = &part, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof control };
		memset(&control.align, 0, sizeof control.align);
		int got = nn_recvmsg(socket, &message, NN_DONTWAIT);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return errno == EAGAIN ? 0 : -1;
		if (header_take(&control, header)) {
			*body = chunk;
			*n = (size_t)got;
			return 1;
		}
		nn_freemsg(chunk);
	}
}

void
raw_free(uint8_t *body)
{
	nn_freemsg(body);
}

uint8_t *
raw_allocate(size_t n)
{
	return nn_allocmsg(n, 0);
}

/* The control record that carries the header. */
static void
header_put(union control *control, const struct raw_header *header, struct nn_msghdr *message)
{
	size_t n = header->n;
	ensure(n <= RAW_HEADER_BYTES_MAX);
	memset(control, 0, sizeof *control);
	control->align.cmsg_len = NN_CMSG_SPACE(sizeof n + n);
	control->align.cmsg_level = PROTO_SP;
	control->align.cmsg_type = SP_HDR;
	memcpy(control->at + sizeof control->align, &n, sizeof n);
	memcpy(control->at + sizeof control->align + sizeof n, header->at, n);
	message->msg_control = control;
	message->msg_controllen = control->align.cmsg_len;
}

int
raw_send(int socket, const struct raw_header *header, const struct raw_part *parts, int parts_n)
{
	union control control;
	struct nn_iovec iov[RAW_PARTS_MAX];
	ensure(parts_n <= RAW_PARTS_MAX);
	for (int i = 0; i < parts_n; i++)
		iov[i] = (struct nn_iovec){ (void *)(uintptr_t)parts[i].at, parts[i].n };
	struct nn_msghdr message = { .msg_iov = iov, .msg_iovlen = parts_n };
	if (header)
		header_put(&control, header, &message);
	for (;;) {
		if (nn_sendmsg(socket, &message, NN_DONTWAIT) >= 0)
			return 1;
		if (errno != EINTR)
			return errno == EAGAIN ? 0 : -1;
	}
}

int
raw_connections(int socket)
{
	return (int)nn_get_statistic(socket, NN_STAT_CURRENT_CONNECTIONS);
}
