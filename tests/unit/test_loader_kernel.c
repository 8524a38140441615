// SPDX-License-Identifier: BSD-3-Clause
/* What is not a kernel, and what cannot be read. */
#include "tests/unit/loader_images.h"

#include <fcntl.h>
#include <stdio.h>

/** A file of zeroes but for these bytes. */
static void kernel_with(struct li *t, size_t off, const void *bytes, size_t len)
{
	memset(t->file, 0, sizeof(t->file));
	t->len = sizeof(t->file);
	memcpy(t->file + off, bytes, len);
}

static void what_is_not_a_kernel_is_named(void **state)
{
	static const struct {
		size_t off, len;
		const char *magic, *says;
	} f[] = {
		{ 0x38, 4, "ARM\x64", "is an arm64 Image, this is x86_64" },
		{ 0x38, 4, "RSC\x05", "is a riscv64 Image, this is x86_64" },
		{ 0, 2, "MZ", "is an EFI program, not a bare kernel" },
		{ 0, 6, "\3757zXZ\0", "is xz-compressed; gzip, lz4 and zstd can be unpacked" },
		{ 0, 6, "\x89LZO\r\n", "is lzo-compressed; gzip, lz4 and zstd can be" },
		{ 0, 3, "\x5d\0\0", "is lzma-compressed; gzip, lz4 and zstd can be" },
		{ 0, 3, "BZh", "is bzip2-compressed; gzip, lz4 and zstd can be" },
		{ 0, 6, "070701", "is a cpio archive" },
		{ 0, 4, "QFI\xfb", "is a qcow2 disk image" },
		{ 0x1fe, 2, "\x55\xaa", "is a boot sector or a disk image" },
		{ 0, 4, "\x7f\x45\x4c\x00",
			"is not a kernel that x86_64 can boot (a bzImage or an ELF vmlinux)" },
	};
	struct li *t = *state;

	for (size_t i = 0; i < ARRAY_SIZE(f); i++) {
		kernel_with(t, f[i].off, f[i].magic, f[i].len);
		li_refuses(t, ENOEXEC, f[i].says);
		assert_null(strstr(t->err.msg, "cut short"));
	}
}

static void another_machines_image_with_an_efi_stub_is_still_named(void **state)
{
	struct li *t = *state;

	kernel_with(t, 0, "MZ", 2);
	memcpy(t->file + 0x38, "ARM\x64", 4);
	li_refuses(t, ENOEXEC, "is an arm64 Image");
}

static void a_kernel_of_another_machine_is_named_on_each(void **state)
{
	static const struct kernel_target *const target[] = { &li_x86, &li_arm64, &li_riscv64 };
	static const struct {
		void (*make)(struct li *t);
		const char *what;
	} kernel[] = { { li_bzimage, "is a bzImage" }, { li_arm64_image, "is an arm64 Image" },
		{ li_riscv64_image, "is a riscv64 Image" } };
	struct li *t = *state;
	char says[64];

	for (size_t k = 0; k < ARRAY_SIZE(kernel); k++) {
		kernel[k].make(t);
		for (size_t i = 0; i < ARRAY_SIZE(target); i++) {
			if (i == k)
				continue;
			t->target = target[i];
			snprintf(says, sizeof(says), "%s, this is %s", kernel[k].what,
				target[i]->name);
			li_refuses(t, ENOEXEC, says);
		}
	}
	li_elf(t);
	t->target = &li_riscv64;
	li_refuses(t, ENOEXEC, "is an ELF of machine 62 (x86_64), this is riscv64 (243)");
	li_ehdr(t)->e_machine = EM_RISCV;
	t->target = &li_arm64;
	li_refuses(t, ENOEXEC, "is an ELF of machine 243 (riscv), this is aarch64 (183)");
	li_ehdr(t)->e_machine = 40;
	li_refuses(t, ENOEXEC, "is an ELF of machine 40, this is aarch64 (183)");
}

static void what_a_machine_could_boot_is_said(void **state)
{
	struct kernel_target images_only = li_arm64;
	struct li *t = *state;

	kernel_with(t, 0, "\x7f\x45\x4c\x00", 4);
	t->target = &li_arm64;
	li_refuses(t, ENOEXEC, "that aarch64 can boot (an arm64 Image or an ELF vmlinux)");
	t->target = &li_riscv64;
	li_refuses(t, ENOEXEC, "that riscv64 can boot (a riscv64 Image or an ELF vmlinux)");
	images_only.formats = BIT(KERNEL_IMAGE_ARM64);
	t->target = &images_only;
	li_elf(t);
	li_refuses(t, ENOEXEC, "is an ELF vmlinux, this is aarch64");
}

static void a_text_file_is_named(void **state)
{
	struct li *t = *state;

	memset(t->file, 'x', sizeof(t->file));
	t->file[100] = '\n';
	t->len = sizeof(t->file);
	li_refuses(t, ENOEXEC, "is a text file");
	t->len = 20;
	li_refuses(t, ENOEXEC, "is a text file");
	t->file[5] = 0x1b;
	li_refuses(t, ENOEXEC, "is not a kernel, or is cut short: it has 20 bytes");
	t->file[5] = 0x80;
	li_refuses(t, ENOEXEC, "is not a kernel");
}

static void an_empty_file_is_refused(void **state)
{
	struct li *t = *state;

	t->len = 0;
	li_refuses(t, EINVAL, "is empty");
}

static int kernel_try(struct li *t, int fd, const char *path)
{
	int rc = kernel_load(&t->gm, fd, path, t->target, LI_LOW, &t->k, &t->err);

	close(fd);
	return rc;
}

static void what_is_not_a_regular_file_is_refused(void **state)
{
	struct li *t = *state;
	int p[2];

	assert_int_equal(kernel_try(t, open("/", O_RDONLY | O_CLOEXEC), "dir"), -EINVAL);
	assert_string_equal(t->err.msg, "KERNEL: dir: is a directory");
	assert_int_equal(pipe2(p, O_CLOEXEC), 0);
	close(p[1]);
	assert_int_equal(kernel_try(t, p[0], "pipe"), -EINVAL);
	assert_string_equal(t->err.msg, "KERNEL: pipe: is not a regular file");
	assert_int_equal(kernel_try(t, open("/dev/null", O_RDONLY | O_CLOEXEC), "null"), -EINVAL);
	assert_string_equal(t->err.msg, "KERNEL: null: is not a regular file");
}

static void a_file_that_cannot_be_read_is_an_io_error(void **state)
{
	struct li *t = *state;
	char name[64];
	int fd;

	assert_int_equal(kernel_load(&t->gm, -1, "none", t->target, LI_LOW, &t->k, &t->err), -EIO);
	assert_non_null(strstr(t->err.msg, "KERNEL: none: cannot be examined: "));
	li_bzimage(t);
	fd = li_memfd(t->file, t->len);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	assert_int_equal(kernel_try(t, open(name, O_WRONLY | O_CLOEXEC), "wronly"), -EIO);
	assert_non_null(strstr(t->err.msg, "KERNEL: wronly: cannot be read at offset 0: "));
	close(fd);
}

static void a_file_that_shrinks_meanwhile_is_an_io_error(void **state)
{
	struct li *t = *state;
	struct lfile f = { .size = 4096 };
	uint8_t buf[100];

	f.fd = li_memfd(t->file, 50);
	assert_int_equal(lfile_read(&f, 0, buf, 50, "it", &t->err), 0);
	assert_int_equal(lfile_read(&f, 0, buf, 51, "it", &t->err), -EIO);
	assert_string_equal(t->err.msg, "shrank while it was read");
	assert_int_equal(lfile_to_ram(&f, 0, 50, &t->gm, MIB, "it", &t->err), 0);
	assert_int_equal(lfile_to_ram(&f, 0, 51, &t->gm, MIB, "it", &t->err), -EIO);
	close(f.fd);
}

static void nothing_is_read_beyond_the_size_first_seen(void **state)
{
	struct li *t = *state;
	struct lfile f = { .size = 50 };
	uint8_t buf[100];

	f.fd = li_memfd(t->file, 100);
	assert_int_equal(lfile_read(&f, 0, buf, 51, "it", &t->err), -EINVAL);
	assert_int_equal(lfile_read(&f, 51, buf, 0, "it", &t->err), -EINVAL);
	assert_int_equal(lfile_read(&f, UINT64_MAX, buf, 2, "it", &t->err), -EINVAL);
	assert_int_equal(lfile_to_ram(&f, 0, 51, &t->gm, MIB, "it", &t->err), -EINVAL);
	assert_string_equal(t->err.msg,
		"is cut short or corrupt: its 50 bytes do not hold it"
		" (51 bytes at offset 0)");
	close(f.fd);
}

static void the_file_offset_of_the_callers_fd_does_not_matter(void **state)
{
	struct li *t = *state;
	int fd;

	li_bzimage(t);
	fd = li_memfd(t->file, t->len);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), LI_BZ_LEN);
	assert_int_equal(kernel_load(&t->gm, fd, "k", t->target, LI_LOW, &t->k, &t->err), 0);
	assert_int_equal(lseek(fd, 0, SEEK_CUR), LI_BZ_LEN);
	close(fd);
}

static void a_path_of_any_length_leaves_the_cause_in_the_line(void **state)
{
	struct li *t = *state;
	char path[4096];

	memset(path, 'p', sizeof(path) - 1);
	path[sizeof(path) - 1] = 0;
	li_bzimage(t);
	le32_put(t->file + 0x260, UINT32_MAX);
	assert_int_equal(kernel_try(t, li_memfd(t->file, t->len), path), -ENOSPC);
	assert_non_null(strstr(t->err.msg, "there are 1572864"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LI_TEST(what_is_not_a_kernel_is_named),
		LI_TEST(another_machines_image_with_an_efi_stub_is_still_named),
		LI_TEST(a_kernel_of_another_machine_is_named_on_each),
		LI_TEST(what_a_machine_could_boot_is_said),
		LI_TEST(a_text_file_is_named),
		LI_TEST(an_empty_file_is_refused),
		LI_TEST(what_is_not_a_regular_file_is_refused),
		LI_TEST(a_file_that_cannot_be_read_is_an_io_error),
		LI_TEST(a_file_that_shrinks_meanwhile_is_an_io_error),
		LI_TEST(nothing_is_read_beyond_the_size_first_seen),
		LI_TEST(the_file_offset_of_the_callers_fd_does_not_matter),
		LI_TEST(a_path_of_any_length_leaves_the_cause_in_the_line),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
