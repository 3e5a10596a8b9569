/*
 * thread.h: how the server's threads begin: deaf to signals, which are the first loop's business alone, and with a name of at most 15
 * bytes, which top -H and perf show.
 */
#ifndef HOLDFAST_NET_THREAD_H
#define HOLDFAST_NET_THREAD_H

#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

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

/*
 * For a thread that works for microseconds and is waited for: a short slice, for which the kernel (Linux from 6.12 on; older ones do
 * nothing) lets it run soon after it wakes, before threads that compute. It gets no more of the processor than before.
 */
#define THREAD_SLICE_NS 100000
static inline void
thread_prompt(void)
{
	/* struct sched_attr, version 0, which C libraries do not declare yet */
	struct { uint32_t size, policy; uint64_t flags; int32_t nice; uint32_t priority; uint64_t runtime, deadline, period; } slice = {
		.size = 48, .runtime = THREAD_SLICE_NS };
	_Static_assert(sizeof slice == 48, "as the kernel has it");
	syscall(SYS_sched_setattr, 0, &slice, 0);
}

#endif
