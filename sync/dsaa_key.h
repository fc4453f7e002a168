/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The pre-shared key of the sync sessions: reading its file, deriving the TLS
 * key from it, wiping both.
 *
 * The file is opened once and everything is judged through that descriptor,
 * so that it cannot be exchanged between the check and the use.
 * Any thread; no state.
 */
#ifndef DSAA_KEY_H
#define DSAA_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum dsaa_key_limits {
	DSAA_KEY_LEN_MIN = 16,	 /* bytes of secret, line ends not counted */
	DSAA_KEY_LEN_MAX = 4096, /* bytes of the file */
	DSAA_KEY_PSK_LEN = 32,	 /* derived key: one SHA-256 block */
};

/* The content of a key file without the line end. Wipe it after use. */
struct dsaa_key {
	uint8_t bytes[DSAA_KEY_LEN_MAX];
	size_t len;
};

/*
 * Reads the key file at PATH into *KEY, which the caller wipes. Returns true,
 * or false with *REASON = DSAA_R_KEY_EXPOSED (group or others may read or
 * write it) or DSAA_R_KEY_UNREADABLE (missing, not a regular file, empty,
 * fewer than DSAA_KEY_LEN_MIN or more than DSAA_KEY_LEN_MAX bytes); *KEY is
 * wiped then. Line ends (CR, LF) at the end of the file are no part of the key.
 */
bool dsaa_key_load(const char *path, struct dsaa_key *key, unsigned *reason);

/* Overwrites KEY in a way that the compiler does not leave out. */
void dsaa_key_wipe(struct dsaa_key *key);

/*
 * PSK = HKDF-SHA256(BYTES, salt "dsaad sync", info "psk v1"). The caller
 * wipes PSK. Returns false when the library refuses (PSK is wiped then).
 */
bool dsaa_key_derive(const uint8_t *bytes, size_t len, uint8_t psk[DSAA_KEY_PSK_LEN]);

#endif
