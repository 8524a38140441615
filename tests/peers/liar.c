// SPDX-License-Identifier: BSD-3-Clause
/*
 * liar MODE SOCKET: a vhost-user back end that is none. Serves one connection and ends with it.
 *   rubbish  says what is no message of the protocol
 *   wrong    answers each request with the answer to another
 *   half     begins an answer, and leaves it there
 *   silent   listens, and says nothing
 *   hangup   closes as soon as it was asked
 */
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static char silent[] = "silent";

static void say(int fd, const void *data, size_t len)
{
	/* Whoever had enough of it has closed. */
	if (send(fd, data, len, MSG_NOSIGNAL) < 0)
		return;
}

static void lie(int fd, const char *mode)
{
	/* GET_VRING_BASE's answer: request, version and REPLY, size, index, number. */
	static const uint32_t other[] = { 11, 5, 8, 0, 0 };
	uint8_t rubbish[4096];

	for (size_t i = 0; i < sizeof(rubbish); i++)
		rubbish[i] = (uint8_t)(i * 167 + 13);
	if (!strcmp(mode, "rubbish"))
		say(fd, rubbish, sizeof(rubbish));
	else if (!strcmp(mode, "wrong"))
		say(fd, other, sizeof(other));
	else if (!strcmp(mode, "half"))
		say(fd, other, 9);
}

int main(int argc, char **argv)
{
	struct sockaddr_un sa = { .sun_family = AF_UNIX };
	int sock = socket(AF_UNIX, SOCK_STREAM, 0), fd;
	char heard[4096];

	if (argc != 3 || strlen(argv[2]) >= sizeof(sa.sun_path))
		return 2;
	strcpy(sa.sun_path, argv[2]);
	if (bind(sock, (struct sockaddr *)&sa, sizeof(sa)) || listen(sock, 1)) {
		perror("liar");
		return 1;
	}
	fd = accept(sock, NULL, NULL);
	while (fd >= 0 && read(fd, heard, sizeof(heard)) > 0) {
		if (!strcmp(argv[1], "hangup"))
			break;
		lie(fd, argv[1]);
		if (!strcmp(argv[1], "half"))
			argv[1] = silent;
	}
	return 0;
}
