// SPDX-License-Identifier: BSD-3-Clause
/*
 * Runs a fuzz harness over files and folders of seeds, for compilers without libFuzzer.
 * Says how many it ran; a crash is the failure.
 */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static unsigned replay_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	uint8_t *data;
	size_t len;

	if (!f) {
		perror(path);
		exit(1);
	}
	data = malloc(1 << 20);
	len = fread(data, 1, 1 << 20, f);
	fclose(f);
	/* An exact allocation, so that AddressSanitizer sees a read past the end. */
	data = realloc(data, len ? len : 1);
	LLVMFuzzerTestOneInput(data, len);
	free(data);
	return 1;
}

static unsigned replay_dir(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *e;
	char name[4096];
	unsigned n = 0;

	if (!d)
		return replay_file(path);
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(name, sizeof(name), "%s/%s", path, e->d_name);
		n += replay_file(name);
	}
	closedir(d);
	return n;
}

int main(int argc, char **argv)
{
	unsigned n = 0;

	for (int i = 1; i < argc; i++)
		n += replay_dir(argv[i]);
	printf("%s: %u inputs replayed\n", argv[0], n);
	return n ? 0 : 1;
}
