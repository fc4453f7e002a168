/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Tests of the key file reader (sync/dsaa_key.h): which files are refused and
 * why, where the key ends, and the derived key against a value computed from
 * RFC 5869 by other means.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/dsaa_reason.h"
#include "sync/dsaa_key.h"
#include "tests/unit/test.h"

static char dir[] = "/tmp/dsaa-key-XXXXXX";
static char path[sizeof(dir) + 16];

static void put(const void *bytes, size_t len, mode_t mode)
{
	int fd;

	unlink(path);
	fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	CHECK(fd >= 0);
	if (fd < 0)
		return;
	CHECK(write(fd, bytes, len) == (ssize_t)len && fchmod(fd, mode) == 0);
	close(fd);
}

/* The reason for the file as it is; *LEN is the key's length when it is taken. */
static unsigned load(size_t *len)
{
	static struct dsaa_key key;
	unsigned reason = 99;
	bool ok;

	memset(&key, 0x5a, sizeof(key));
	ok = dsaa_key_load(path, &key, &reason);
	CHECK(ok == (reason == DSAA_R_NONE));
	if (!ok) {
		for (size_t i = 0; i < sizeof(key.bytes); i++)
			if (key.bytes[i] != 0 && key.bytes[i] != 0x5a)
				CHECK(!"a refused key stays in memory");
		CHECK(reason != DSAA_R_KEY_UNREADABLE || key.len == 0);
	}
	*len = ok ? key.len : 0;
	dsaa_key_wipe(&key);
	CHECK(key.len == 0 && key.bytes[0] == 0);
	return reason;
}

static void test_modes(void)
{
	static const mode_t bad[] = { 0640, 0620, 0604, 0602, 0644, 0666, 0660 };
	size_t len;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put("0123456789abcdef", 16, bad[i]);
		CHECK(load(&len) == DSAA_R_KEY_EXPOSED);
	}
	put("0123456789abcdef", 16, 0600);
	CHECK(load(&len) == DSAA_R_NONE && len == 16);
	put("0123456789abcdef", 16, 0400);
	CHECK(load(&len) == DSAA_R_NONE && len == 16);
}

static void test_lengths(void)
{
	static char big[DSAA_KEY_LEN_MAX + 1];
	size_t len;

	memset(big, 'k', sizeof(big));
	put("", 0, 0600);
	CHECK(load(&len) == DSAA_R_KEY_UNREADABLE);
	put(big, DSAA_KEY_LEN_MIN - 1, 0600);
	CHECK(load(&len) == DSAA_R_KEY_UNREADABLE);
	put(big, DSAA_KEY_LEN_MAX, 0600);
	CHECK(load(&len) == DSAA_R_NONE && len == DSAA_KEY_LEN_MAX);
	put(big, DSAA_KEY_LEN_MAX + 1, 0600);
	CHECK(load(&len) == DSAA_R_KEY_UNREADABLE);
	put("0123456789abcdef\n", 17, 0600);
	CHECK(load(&len) == DSAA_R_NONE && len == 16);
	put("0123456789abcdef\r\n\n", 19, 0600);
	CHECK(load(&len) == DSAA_R_NONE && len == 16);
	put("0123456789abcde\n", 16, 0600);
	CHECK(load(&len) == DSAA_R_KEY_UNREADABLE);
	put("\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n\n", 18, 0600);
	CHECK(load(&len) == DSAA_R_KEY_UNREADABLE);
}

static void test_kinds(void)
{
	size_t len;

	unlink(path);
	CHECK(load(&len) == DSAA_R_KEY_UNREADABLE);
	CHECK(mkdir(path, 0700) == 0);
	CHECK(load(&len) == DSAA_R_KEY_UNREADABLE);
	CHECK(rmdir(path) == 0);
	CHECK(mkfifo(path, 0600) == 0); /* must not wait for a writer */
	CHECK(load(&len) == DSAA_R_KEY_UNREADABLE);
	CHECK(unlink(path) == 0);
	CHECK(symlink("/dev/zero", path) == 0);
	CHECK(load(&len) == DSAA_R_KEY_UNREADABLE);
	CHECK(unlink(path) == 0);
}

static void test_derive(void)
{
	/* HKDF-SHA256("0123456789abcdef", "dsaad sync", "psk v1", 32), by Python's hmac. */
	static const uint8_t expected[DSAA_KEY_PSK_LEN] = {
		0x70, 0x1e, 0xc4, 0x05, 0x2b, 0x0c, 0x87, 0xeb, 0x6c, 0xb5, 0x33,
		0xb3, 0x64, 0xfe, 0xc6, 0x6e, 0x71, 0xf6, 0xef, 0x1b, 0xa2, 0x87,
		0x42, 0x7e, 0x51, 0x76, 0x54, 0x29, 0x9c, 0x0f, 0x9e, 0xa5,
	};
	uint8_t psk[DSAA_KEY_PSK_LEN], other[DSAA_KEY_PSK_LEN];

	CHECK(dsaa_key_derive((const uint8_t *)"0123456789abcdef", 16, psk));
	CHECK(memcmp(psk, expected, sizeof(psk)) == 0);
	CHECK(dsaa_key_derive((const uint8_t *)"0123456789abcdeF", 16, other));
	CHECK(memcmp(psk, other, sizeof(psk)) != 0);
}

int main(void)
{
	if (!mkdtemp(dir)) {
		printf("skipped: no temporary directory\n");
		return 77;
	}
	snprintf(path, sizeof(path), "%s/key", dir);
	test_modes();
	test_lengths();
	test_kinds();
	test_derive();
	rmdir(dir);
	return TEST_END();
}
