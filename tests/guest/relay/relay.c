// SPDX-License-Identifier: BSD-3-Clause
/*
 * Stream sockets for guest tests, for either side: busybox has none for vsock.
 *
 *	relay connect ADDR             standard input to it, it to standard output, until both end
 *	relay listen ADDR              the same with the first who comes
 *	relay say LINE ADDR            as connect, after LINE was sent and a line was received
 *	relay echo ADDR                says so, and gives each who comes back what he sends
 *	relay many COUNT HELD ADDR     COUNT connections, HELD at a time; each is echoed a word
 *	relay give BYTES ADDR          connects and sends as many
 *	relay take ADDR                connects and reads until the end
 *	relay taken ADDR               who comes first gives: how many bytes, in how many ns
 *	relay given BYTES ADDR         who comes first takes as many: likewise
 *
 * ADDR is vsock:CID:PORT (who listens: vsock:any:PORT) or unix:PATH; RELAY_BUFFER in the
 *environment is how many bytes a vsock's buffer has. Status 0, or 1 and a line.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

#define MAX_HELD 1024

union address {
	struct sockaddr sa;
	struct sockaddr_vm vm;
	struct sockaddr_un un;
};

static void die(const char *what)
{
	fprintf(stderr, "relay: %s: %s\n", what, strerror(errno));
	exit(1);
}

static socklen_t parse(const char *text, union address *ret)
{
	char *colon;

	memset(ret, 0, sizeof(*ret));
	if (!strncmp(text, "unix:", 5) && strlen(text + 5) < sizeof(ret->un.sun_path)) {
		ret->un.sun_family = AF_UNIX;
		memcpy(ret->un.sun_path, text + 5, strlen(text + 5));
		return sizeof(ret->un);
	}
	colon = strrchr(text, ':');
	if (strncmp(text, "vsock:", 6) || !colon || colon == text + 5) {
		errno = EINVAL;
		die(text);
	}
	ret->vm.svm_family = AF_VSOCK;
	ret->vm.svm_cid = !strncmp(text + 6, "any", 3) ? VMADDR_CID_ANY
						       : (unsigned)strtoul(text + 6, NULL, 0);
	ret->vm.svm_port = (unsigned)strtoul(colon + 1, NULL, 0);
	return sizeof(ret->vm);
}

static int make_socket(sa_family_t family)
{
	const char *text = getenv("RELAY_BUFFER");
	uint64_t buffer = text ? strtoull(text, NULL, 0) : 0;
	int fd = socket(family, SOCK_STREAM, 0);

	if (fd < 0)
		die("socket");
	if (text && family == AF_VSOCK &&
		setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &buffer, sizeof(buffer)))
		die("RELAY_BUFFER");
	return fd;
}

static int do_open(const char *text)
{
	union address a;
	socklen_t len = parse(text, &a);
	int fd = make_socket(a.sa.sa_family);

	if (connect(fd, &a.sa, len))
		die(text);
	return fd;
}

static int do_listen(const char *text)
{
	union address a;
	socklen_t len = parse(text, &a);
	int fd = make_socket(a.sa.sa_family);

	if (bind(fd, &a.sa, len) || listen(fd, 128))
		die(text);
	return fd;
}

static void write_all(int fd, const char *p, size_t n)
{
	while (n) {
		ssize_t done = write(fd, p, n);

		if (done < 0)
			die("write");
		p += done;
		n -= (size_t)done;
	}
}

static void copy(int from, int to)
{
	static char buf[65536];
	ssize_t n;

	while ((n = read(from, buf, sizeof(buf))) > 0)
		write_all(to, buf, (size_t)n);
	if (n < 0)
		die("read");
}

/** Both ways at once, a process for each; the end of one goes on as the end of a direction. */
static void pump(int fd)
{
	pid_t sender = fork();
	int status;

	if (!sender) {
		copy(0, fd);
		shutdown(fd, SHUT_WR);
		_exit(0);
	}
	copy(fd, 1);
	if (sender < 0 || waitpid(sender, &status, 0) != sender || status)
		exit(1);
}

static void echo(int listener)
{
	static char buf[65536];

	puts("listening");
	fflush(stdout);
	signal(SIGCHLD, SIG_IGN);
	for (;;) {
		int fd = accept(listener, NULL, NULL);
		ssize_t n;

		if (fd < 0)
			die("accept");
		if (fork()) {
			close(fd);
			continue;
		}
		while ((n = read(fd, buf, sizeof(buf))) > 0)
			write_all(fd, buf, (size_t)n);
		exit(0);
	}
}

static void talk(int fd, uint32_t word)
{
	uint32_t back = 0;
	size_t have = 0;

	write_all(fd, (const char *)&word, sizeof(word));
	while (have < sizeof(back)) {
		ssize_t n = read(fd, (char *)&back + have, sizeof(back) - have);

		if (n <= 0)
			die("an echo");
		have += (size_t)n;
	}
	if (back != word) {
		errno = EBADMSG;
		die("an echo");
	}
}

static void many(unsigned count, unsigned held, const char *text)
{
	int fd[MAX_HELD];

	for (unsigned done = 0; done < count; done += held) {
		for (unsigned i = 0; i < held; i++)
			fd[i] = do_open(text);
		for (unsigned i = 0; i < held; i++)
			talk(fd[i], done + i);
		for (unsigned i = 0; i < held; i++)
			close(fd[i]);
	}
	printf("%u connections\n", count);
}

static void give(int fd, uint64_t bytes)
{
	static char buf[65536];

	for (uint64_t n = 0; n < bytes; n += sizeof(buf))
		write_all(fd, buf, bytes - n < sizeof(buf) ? (size_t)(bytes - n) : sizeof(buf));
	shutdown(fd, SHUT_WR);
}

static uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

/** Reads to the end. Returns bytes, and in *begin when the first of them came. */
static uint64_t take(int fd, uint64_t *begin)
{
	static char buf[65536];
	uint64_t bytes = 0;
	ssize_t n;

	*begin = now_ns();
	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		if (!bytes)
			*begin = now_ns();
		bytes += (uint64_t)n;
	}
	if (n < 0)
		die("read");
	return bytes;
}

/** Of a stream either way, from its first byte to its end. */
static void timed(int listener, uint64_t to_give)
{
	int fd = accept(listener, NULL, NULL);
	uint64_t begin = now_ns(), taken, first;

	if (fd < 0)
		die("accept");
	if (to_give)
		give(fd, to_give);
	taken = take(fd, &first);
	printf("%llu bytes %llu ns\n", (unsigned long long)(to_give ? to_give : taken),
		(unsigned long long)(now_ns() - (to_give ? begin : first)));
}

/** Sends a line and drops the answer's. */
static void say(int fd, const char *line)
{
	char c = 0;

	dprintf(fd, "%s\n", line);
	while (c != '\n')
		if (read(fd, &c, 1) != 1) {
			errno = ECONNREFUSED;
			die(line);
		}
}

int main(int argc, char **argv)
{
	const char *verb = argc > 1 ? argv[1] : "";

	signal(SIGPIPE, SIG_IGN);
	if (argc == 3 && !strcmp(verb, "connect")) {
		pump(do_open(argv[2]));
	} else if (argc == 3 && !strcmp(verb, "listen")) {
		pump(accept(do_listen(argv[2]), NULL, NULL));
	} else if (argc == 3 && !strcmp(verb, "echo")) {
		echo(do_listen(argv[2]));
	} else if (argc == 4 && !strcmp(verb, "say")) {
		int fd = do_open(argv[3]);

		say(fd, argv[2]);
		pump(fd);
	} else if (argc == 5 && !strcmp(verb, "many") && atoi(argv[3]) <= MAX_HELD) {
		many((unsigned)atoi(argv[2]), (unsigned)atoi(argv[3]), argv[4]);
	} else if (argc == 4 && !strcmp(verb, "give")) {
		int fd = do_open(argv[3]);
		uint64_t begin;

		give(fd, strtoull(argv[2], NULL, 0));
		take(fd, &begin); /* until it is taken */
	} else if (argc == 3 && !strcmp(verb, "take")) {
		uint64_t begin;

		take(do_open(argv[2]), &begin);
	} else if (argc == 3 && !strcmp(verb, "taken")) {
		timed(do_listen(argv[2]), 0);
	} else if (argc == 4 && !strcmp(verb, "given")) {
		timed(do_listen(argv[3]), strtoull(argv[2], NULL, 0));
	} else {
		fprintf(stderr, "relay: see the head of its source\n");
		return 2;
	}
	return 0;
}
