// SPDX-License-Identifier: BSD-3-Clause
/*
 * share/tree.c while somebody on the host, or another guest's, exchanges a directory of the tree
 * for a symlink out of it, all the time: no byte from outside is seen, and nothing is made there.
 * RACE_SECONDS says for how long (1).
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <cmocka.h>

#include "tests/unit/share_rig.h"

struct race {
	struct share s;
	struct tree *t;
	bool over; /* atomic */
	unsigned long nr_dirs, nr_links, nr_reads, nr_made, nr_exchanges;
};

static void *exchange(void *arg)
{
	struct race *r = arg;

	while (!__atomic_load_n(&r->over, __ATOMIC_RELAXED)) {
		BUG_ON(syscall(SYS_renameat2, r->s.top_fd, "in/dir", r->s.top_fd, "in/out",
			RENAME_EXCHANGE));
		r->nr_exchanges++;
	}
	return NULL;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static void read_beneath(struct race *r, const struct tree_node *dir)
{
	char buf[16] = "";
	struct tree_node *n;
	struct statx st;
	int fd;

	if (tree_lookup(r->t, dir, "f", &n, &st))
		return;
	fd = tree_open(r->t, n, O_RDONLY);
	assert_true(fd >= 0);
	assert_int_equal(read(fd, buf, sizeof(buf)), 6);
	assert_string_equal(buf, "inside");
	close(fd);
	tree_forget(r->t, n, 1);
	r->nr_reads++;
}

static void make_beneath(struct race *r, const struct tree_node *dir)
{
	struct tree_node *n;
	struct statx st;
	int fd;

	if (tree_make(r->t, dir, "new", O_WRONLY | O_EXCL, 0644, 022, &fd, &n, &st))
		return;
	close(fd);
	tree_forget(r->t, n, 1);
	assert_int_equal(tree_unlink(r->t, dir, "new"), 0);
	r->nr_made++;
}

static void one_round(struct race *r)
{
	struct tree_node *dir;
	struct statx st;

	assert_int_equal(tree_lookup(r->t, tree_root(r->t), "dir", &dir, &st), 0);
	r->nr_dirs += tree_type(dir) == S_IFDIR;
	r->nr_links += tree_type(dir) == S_IFLNK;
	/* By now the name may mean the other one. */
	read_beneath(r, dir);
	make_beneath(r, dir);
	tree_forget(r->t, dir, 1);
}

static void nothing_outside_is_seen_or_changed(void **state __unused)
{
	const char *text = getenv("RACE_SECONDS");
	double end = now() + (text ? atof(text) : 1);
	struct race r = { .over = false };
	struct tree_config cfg;
	struct err err;
	pthread_t thread;

	share_open(&r.s);
	cfg = share_config(&r.s);
	assert_int_equal(tree_create(&cfg, &r.t, &err), 0);
	assert_int_equal(pthread_create(&thread, NULL, exchange, &r), 0);
	/* On one processor the threads take turns; both states must have been met. */
	while (now() < end || !r.nr_dirs || !r.nr_links)
		one_round(&r);
	__atomic_store_n(&r.over, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	print_message("%lu exchanges: a directory %lu times, a symlink %lu, %lu reads, %lu made\n",
		r.nr_exchanges, r.nr_dirs, r.nr_links, r.nr_reads, r.nr_made);
	assert_true(r.nr_reads && r.nr_made);
	assert_true(share_has(&r.s, "outside/f", "OUTSIDE"));
	assert_int_equal(faccessat(r.s.top_fd, "outside/new", F_OK, 0), -1);
	tree_destroy(r.t);
	share_close(&r.s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_outside_is_seen_or_changed),
	};

	alarm(600);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
