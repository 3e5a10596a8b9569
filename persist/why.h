/* why.h: the one way in which this folder fills a struct why. Any thread. */
#ifndef HOLDFAST_PERSIST_WHY_H
#define HOLDFAST_PERSIST_WHY_H

#include "core/base.h"

/* Fills why as printf does (what is too long is cut) and returns -1. */
int why_say(struct why *, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
