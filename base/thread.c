// SPDX-License-Identifier: BSD-3-Clause
#include "base/thread.h"

int thread_create(pthread_t *ret, void *(*fn)(void *arg), void *arg)
{
	pthread_attr_t attr;
	int rc = pthread_attr_init(&attr);

	if (rc)
		return -rc;
	rc = pthread_attr_setstacksize(&attr, THREAD_STACK);
	if (!rc)
		rc = pthread_create(ret, &attr, fn, arg);
	pthread_attr_destroy(&attr);
	return -rc;
}
