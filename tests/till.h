/*
 * till.h: a nanomsg peer made by hand over plain TCP: for wrong bytes, request numbers of its own, and buffers of a known size.
 * Every wait has a bound. One thread.
 */
#ifndef HOLDFAST_TESTS_TILL_H
#define HOLDFAST_TESTS_TILL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TILL_PATIENCE_MS 20000
#define REQUEST_BIT UINT32_C(0x80000000) /* in the word of a request's header */

/* Connected to 127.0.0.1; no greeting yet. -1: no. */
int till_connect(uint16_t port);
/* Greets as `kind` (48: REQ, 80: PUSH, 33: SUB) and reads the greeting of a peer of `other` kind. receive_bytes: what the kernel may
 * keep of unread answers; 0: what it likes. */
int till_open_as(uint16_t port, uint8_t kind, uint8_t other, int receive_bytes);
int till_open(uint16_t port); /* REQ */
bool till_write(int fd, const void *, size_t n);
bool till_read(int fd, uint8_t *, size_t n);
/* A request: the frame's length in 64 bits, the word of its header, the body. */
bool till_send(int fd, uint32_t word, const void *, size_t n);
/* The body's length, or -1. */
int64_t till_receive(int fd, uint32_t *word, uint8_t *body, size_t size);
/* The same of a message without a header (PULL, SUB). */
bool till_push(int fd, const void *, size_t n);
int64_t till_pull(int fd, uint8_t *body, size_t size);

#endif
