/*
 * thread.h: how the server's threads begin: deaf to signals, which are the first loop's business alone, and with a name of at most 15
 * bytes, which top -H and perf show.
 */
#ifndef HOLDFAST_NET_THREAD_H
#define HOLDFAST_NET_THREAD_H

#include <pthread.h>
#include <signal.h>

/* As pthread_create. */
static inline int
thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *arg)
{
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int failure = pthread_create(thread, NULL, run, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!failure)
		pthread_setname_np(*thread, name);
	return failure;
}

#endif
