/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TLS 1.3 with an external pre-shared key over a non-blocking socket.
 * Private to sync/; one thread per context.
 *
 * No certificates, no tickets, no resumption, no early data. The key is mixed
 * with an ephemeral (EC)DHE secret. The identity "dsaa/CLUSTER/FROM/TO" names
 * the connecting and the accepting site; the key's proof covers it. A server
 * judges the identity before anything is computed and says with the alert
 * what it did not like, so that both ends show the same reason:
 *
 *	alert                      cause
 *	illegal_parameter (47)     other key
 *	access_denied (49)         other cluster
 *	unknown_psk_identity (115) not the site of the source address, not for us
 */
#ifndef DSAA_TLS_H
#define DSAA_TLS_H

#include "core/dsaa_types.h"

/* The outcome of one read, write or handshake step. */
enum dsaa_io {
	DSAA_IO_DONE,
	DSAA_IO_WANT_READ,
	DSAA_IO_WANT_WRITE,
	DSAA_IO_EOF,
	DSAA_IO_FAILED, /* reason and detail tell why */
};

struct dsaa_tls;
struct dsaa_tls_stream;

/*
 * Prepares a context for site LOCAL of CLUSTER_ID. KEY is derived from and not
 * kept. NULL when the library refuses, with its words in ERR.
 */
struct dsaa_tls *dsaa_tls_open(uint32_t cluster_id, dsaa_site_id local, const uint8_t *key,
			       size_t key_len, char *err, size_t errlen);
/* Wipes the key. All streams must be freed. */
void dsaa_tls_close(struct dsaa_tls *tls);

/* A stream over FD (kept by the caller) with SITE; NULL without memory. */
struct dsaa_tls_stream *dsaa_tls_start(struct dsaa_tls *tls, int fd, dsaa_site_id site,
				       bool inbound);
void dsaa_tls_free(struct dsaa_tls_stream *s);

/* Goes on with the handshake. DONE: the peer proved the key and its identity. */
enum dsaa_io dsaa_tls_handshake(struct dsaa_tls_stream *s);
/* Reads or writes up to LEN (> 0) bytes; *N is set with DONE. */
enum dsaa_io dsaa_tls_read(struct dsaa_tls_stream *s, uint8_t *buf, size_t len, size_t *n);
/* After a WANT, call again with the same bytes first (more may follow them). */
enum dsaa_io dsaa_tls_write(struct dsaa_tls_stream *s, const uint8_t *buf, size_t len, size_t *n);
/* Says that nothing more will be sent, if the stream still works. */
void dsaa_tls_shutdown(struct dsaa_tls_stream *s);

/* After FAILED: enum dsaa_reason, and a text that lives as long as the stream. */
unsigned dsaa_tls_reason(const struct dsaa_tls_stream *s);
const char *dsaa_tls_detail(const struct dsaa_tls_stream *s);
/* The cipher in use, for show commands. */
const char *dsaa_tls_cipher(const struct dsaa_tls_stream *s);

#endif
