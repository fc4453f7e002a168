/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pre-shared key of the sync sessions, see dsaa_key.h. Any thread; no state.
 */
#include "sync/dsaa_key.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "core/dsaa_reason.h"

/* Who else may read or write it: group and others. */
#define KEY_EXPOSED_MODE (S_IRGRP | S_IWGRP | S_IROTH | S_IWOTH)

void dsaa_key_wipe(struct dsaa_key *key)
{
	OPENSSL_cleanse(key, sizeof(*key));
}

/* Judges the opened file by its inode, not by its name. */
static unsigned key_judge(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return DSAA_R_KEY_UNREADABLE;
	if (st.st_mode & KEY_EXPOSED_MODE)
		return DSAA_R_KEY_EXPOSED;
	if (st.st_size < DSAA_KEY_LEN_MIN || st.st_size > DSAA_KEY_LEN_MAX)
		return DSAA_R_KEY_UNREADABLE;
	return DSAA_R_NONE;
}

/* Reads all of FD into KEY; false on an error, and when it grew past the maximum meanwhile. */
static bool key_read(int fd, struct dsaa_key *key)
{
	uint8_t more;
	ssize_t n;

	while (key->len < sizeof(key->bytes)) {
		n = read(fd, key->bytes + key->len, sizeof(key->bytes) - key->len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		if (n == 0)
			return true;
		key->len += (size_t)n;
	}
	do {
		n = read(fd, &more, 1);
	} while (n < 0 && errno == EINTR);
	OPENSSL_cleanse(&more, 1);
	return n == 0;
}

bool dsaa_key_load(const char *path, struct dsaa_key *key, unsigned *reason)
{
	/* O_NONBLOCK: a FIFO of that name must not hold us up. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	key->len = 0;
	*reason = DSAA_R_KEY_UNREADABLE;
	if (fd < 0)
		return false;
	*reason = key_judge(fd);
	if (*reason == DSAA_R_NONE && !key_read(fd, key))
		*reason = DSAA_R_KEY_UNREADABLE;
	close(fd);
	if (*reason == DSAA_R_NONE) {
		while (key->len &&
		       (key->bytes[key->len - 1] == '\n' || key->bytes[key->len - 1] == '\r'))
			key->len--;
		if (key->len < DSAA_KEY_LEN_MIN)
			*reason = DSAA_R_KEY_UNREADABLE;
	}
	if (*reason != DSAA_R_NONE)
		dsaa_key_wipe(key);
	return *reason == DSAA_R_NONE;
}

bool dsaa_key_derive(const uint8_t *bytes, size_t len, uint8_t psk[DSAA_KEY_PSK_LEN])
{
	static const char salt[] = "dsaad sync", info[] = "psk v1";
	EVP_KDF *kdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = kdf ? EVP_KDF_CTX_new(kdf) : NULL;
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char *)"SHA256", 0),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, (void *)bytes, len),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_SALT, (void *)salt,
						  sizeof(salt) - 1),
		OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, (void *)info,
						  sizeof(info) - 1),
		OSSL_PARAM_construct_end(),
	};
	bool ok = ctx && EVP_KDF_derive(ctx, psk, DSAA_KEY_PSK_LEN, params) == 1;

	if (!ok)
		OPENSSL_cleanse(psk, DSAA_KEY_PSK_LEN);
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(kdf);
	return ok;
}
