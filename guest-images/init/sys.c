/* SPDX-License-Identifier: BSD-3-Clause */
#include "guest-images/init/sys.h"

/* The build names the architecture's file; a checker sees one of them. */
#ifndef INIT_ARCH
#define INIT_ARCH "guest-images/init/sys-x86_64.inc"
#endif
#include INIT_ARCH

void *memcpy(void *to, const void *from, unsigned long n)
{
	char *t = to;
	const char *f = from;

	while (n--)
		*t++ = *f++;
	return to;
}

void *memset(void *to, int c, unsigned long n)
{
	char *t = to;

	while (n--)
		*t++ = (char)c;
	return to;
}

unsigned long text_len(const char *s)
{
	unsigned long n = 0;

	while (s[n])
		n++;
	return n;
}

int text_is(const char *a, const char *b)
{
	while (*a && *a == *b) {
		a++;
		b++;
	}
	return *a == *b;
}

int text_begins(const char *s, const char *start)
{
	while (*start && *s == *start) {
		s++;
		start++;
	}
	return !*start;
}

const char *text_find(const char *s, char c)
{
	while (*s && *s != c)
		s++;
	return s;
}

long text_number(const char *s, char end)
{
	long n = 0;

	if (*s < '0' || *s > '9')
		return -1;
	for (; *s >= '0' && *s <= '9'; s++) {
		n = n * 10 + (*s - '0');
		if (n > 0xffffffffL)
			return -1;
	}
	return *s == end || !*s ? n : -1;
}

void line_add(struct line *l, const char *s)
{
	while (*s && l->len < sizeof(l->text) - 1)
		l->text[l->len++] = *s++;
	l->text[l->len] = 0;
}

void line_add_number(struct line *l, unsigned long n)
{
	char digits[24];
	unsigned long at = sizeof(digits) - 1;

	digits[at] = 0;
	do
		digits[--at] = (char)('0' + n % 10);
	while (n /= 10);
	line_add(l, digits + at);
}

long read_file(const char *path, char *buf, unsigned long max)
{
	long fd = sys4(__NR_openat, AT_HERE, path, O_RDONLY | O_CLOEXEC, 0), n = fd;
	unsigned long have = 0;

	while (fd >= 0 && have < max - 1) {
		n = sys3(__NR_read, fd, buf + have, max - 1 - have);
		if (n <= 0)
			break;
		have += (unsigned long)n;
	}
	if (fd >= 0)
		sys1(__NR_close, fd);
	buf[have] = 0;
	return n < 0 ? n : (long)have;
}

long write_all(int fd, const void *buf, unsigned long len)
{
	const char *at = buf;

	while (len) {
		long n = sys3(__NR_write, fd, at, len);

		if (n < 0 && n != -EINTR)
			return n;
		if (n > 0) {
			at += n;
			len -= (unsigned long)n;
		}
	}
	return 0;
}

void make_dirs(const char *path)
{
	static char part[4097];
	unsigned long len = text_len(path);

	if (len >= sizeof(part))
		return;
	for (unsigned long i = 1; i <= len; i++) {
		if (path[i] && path[i] != '/')
			continue;
		memcpy(part, path, i);
		part[i] = 0;
		/* Whatever cannot be made is noticed by who wants it. */
		sys3(__NR_mkdirat, AT_HERE, part, 0755);
	}
}
