/*
 * gate_probe.h: is there a gate at this address? nanomsg itself connects in the background and never says why it does not; this
 * exchanges the eight bytes with which nanomsg peers greet each other over a plain TCP connection and words what it found.
 * The greeting: 0, 'S', 'P', version 0, the peer's kind in 16 bits (REQ 48, REP 49), 16 bits of zero (RFC "TCP mapping for SP").
 */
#ifndef HOLDFAST_NET_GATE_PROBE_H
#define HOLDFAST_NET_GATE_PROBE_H

#include "core/base.h"

#define PROBE_ADDRESS_BYTES 64

/*
 * 0: a nanomsg REP socket answers there, address[] holds its number form "1.2.3.4:7401" for nanomsg. -1: *why.
 * Blocks up to timeout_ms for each address the name stands for.
 */
int gate_probe(const char *host, uint16_t port, int timeout_ms, char address[PROBE_ADDRESS_BYTES], struct why *);

#endif
