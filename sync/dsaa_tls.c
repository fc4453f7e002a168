/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * TLS 1.3 with an external pre-shared key, see dsaa_tls.h.
 *
 * The sockets are reached through a BIO of our own, which sends with
 * MSG_NOSIGNAL: OpenSSL's own socket BIO would raise SIGPIPE.
 *
 * A client trusts nobody by certificate (it verifies with an empty store) and
 * both ends check that the key was really used, so a server that answers with
 * a certificate instead gets nowhere.
 */
#include "sync/dsaa_tls.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "core/dsaa_reason.h"
#include "sync/dsaa_key.h"
#include "sync/dsaa_transport.h"

enum {
	IDENTITY_MAX = 64,
	/* Records after which sending changes to a new key. AES-GCM wants it
	 * before 2^24.5 (RFC 8446, 5.5); much earlier keeps the path in use. */
	RECORDS_PER_KEY = 1 << 14,
	/* TLS 1.3 ciphers whose hash is that of the key, SHA-256. */
	ALERT_ILLEGAL_PARAMETER = 47,
	ALERT_ACCESS_DENIED = 49,
	ALERT_DECODE_ERROR = 50,
	ALERT_DECRYPT_ERROR = 51,
	ALERT_MISSING_EXTENSION = 109,
	ALERT_UNKNOWN_PSK_IDENTITY = 115,
	ALERT_BAD_RECORD_MAC = 20,
	ALERT_NONE = -1,
};

#define TLS_CIPHERS "TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256"

struct dsaa_tls {
	SSL_CTX *ctx;
	BIO_METHOD *bio;
	uint32_t cluster_id;
	dsaa_site_id local;
	uint8_t psk[DSAA_KEY_PSK_LEN];
};

struct dsaa_tls_stream {
	struct dsaa_tls *tls;
	SSL *ssl;
	int fd;
	dsaa_site_id site;
	bool inbound;
	bool up;	  /* the handshake is done */
	bool broken;	  /* OpenSSL allows no further call on it */
	int io_error;	  /* errno of the last failed system call, 0 when none failed */
	uint32_t records; /* sent with the present key */
	unsigned refusal; /* why our own callbacks refused the peer */
	unsigned reason;
	char identity[IDENTITY_MAX]; /* of this connection: dsaa/CLUSTER/FROM/TO */
	char detail[DSAA_TRANSPORT_DETAIL_MAX];
};

/* ------------------------------------------------------------------ BIO over the socket */

static bool tls_is_transient(int error)
{
	return error == EAGAIN || error == EWOULDBLOCK || error == EINTR;
}

static int tls_bio_write(BIO *bio, const char *buf, int len)
{
	struct dsaa_tls_stream *s = BIO_get_data(bio);
	ssize_t n = send(s->fd, buf, (size_t)len, MSG_NOSIGNAL);

	BIO_clear_retry_flags(bio);
	if (n < 0 && tls_is_transient(errno))
		BIO_set_retry_write(bio);
	else if (n < 0)
		s->io_error = errno;
	return (int)n;
}

static int tls_bio_read(BIO *bio, char *buf, int len)
{
	struct dsaa_tls_stream *s = BIO_get_data(bio);
	ssize_t n = recv(s->fd, buf, (size_t)len, 0);

	BIO_clear_retry_flags(bio);
	if (n < 0 && tls_is_transient(errno))
		BIO_set_retry_read(bio);
	else if (n < 0)
		s->io_error = errno;
	else if (n == 0)
		BIO_set_flags(bio, BIO_FLAGS_IN_EOF);
	return (int)n;
}

static long tls_bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
	(void)num;
	(void)ptr;
	if (cmd == BIO_CTRL_FLUSH || cmd == BIO_CTRL_DUP)
		return 1;
	if (cmd == BIO_CTRL_EOF)
		return BIO_test_flags(bio, BIO_FLAGS_IN_EOF) != 0;
	return 0;
}

static BIO_METHOD *tls_bio_method(void)
{
	BIO_METHOD *m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "dsaa socket");

	if (!m)
		return NULL;
	if (BIO_meth_set_write(m, tls_bio_write) && BIO_meth_set_read(m, tls_bio_read) &&
	    BIO_meth_set_ctrl(m, tls_bio_ctrl))
		return m;
	BIO_meth_free(m);
	return NULL;
}

/* ------------------------------------------------------------------ key and identity */

/* A new session object that stands for the pre-shared key; NULL without memory. */
static SSL_SESSION *tls_psk_session(SSL *ssl, const struct dsaa_tls *tls)
{
	static const unsigned char aes128[] = { 0x13, 0x01 };
	const SSL_CIPHER *cipher = SSL_CIPHER_find(ssl, aes128);
	SSL_SESSION *session = SSL_SESSION_new();

	if (session && cipher && SSL_SESSION_set_cipher(session, cipher) &&
	    SSL_SESSION_set_protocol_version(session, TLS1_3_VERSION) &&
	    SSL_SESSION_set1_master_key(session, tls->psk, sizeof(tls->psk)))
		return session;
	SSL_SESSION_free(session);
	return NULL;
}

/* Client: offers the key. MD is set when the server already chose a hash. */
static int tls_use_psk(SSL *ssl, const EVP_MD *md, const unsigned char **id, size_t *id_len,
		       SSL_SESSION **session)
{
	struct dsaa_tls_stream *s = SSL_get_app_data(ssl);

	*session = NULL;
	if (md && !EVP_MD_is_a(md, "SHA256"))
		return 1;
	*session = tls_psk_session(ssl, s->tls);
	if (!*session)
		return 0;
	*id = (const unsigned char *)s->identity;
	*id_len = strlen(s->identity);
	return 1;
}

/* Server: finds the key for an identity. No session: the handshake goes on without, and fails. */
static int tls_find_psk(SSL *ssl, const unsigned char *id, size_t id_len, SSL_SESSION **session)
{
	struct dsaa_tls_stream *s = SSL_get_app_data(ssl);

	*session = NULL;
	if (id_len != strlen(s->identity) || memcmp(id, s->identity, id_len) != 0)
		return 1;
	*session = tls_psk_session(ssl, s->tls);
	return *session != NULL;
}

static bool tls_starts_with(const uint8_t *id, size_t len, const char *text)
{
	size_t n = strlen(text);

	return len >= n && memcmp(id, text, n) == 0;
}

/* What is wrong with identity ID of an inbound connection; DSAA_R_NONE when nothing is. */
static unsigned tls_judge_identity(const struct dsaa_tls_stream *s, const uint8_t *id, size_t len)
{
	char text[IDENTITY_MAX];

	if (len == strlen(s->identity) && memcmp(id, s->identity, len) == 0)
		return DSAA_R_NONE;
	if (!tls_starts_with(id, len, "dsaa/"))
		return DSAA_R_MALFORMED;
	snprintf(text, sizeof(text), "dsaa/%u/", s->tls->cluster_id);
	if (!tls_starts_with(id, len, text))
		return DSAA_R_CLUSTER_MISMATCH;
	snprintf(text, sizeof(text), "dsaa/%u/%u/", s->tls->cluster_id, s->tls->local);
	if (tls_starts_with(id, len, text))
		return DSAA_R_SAME_SITE;
	return DSAA_R_UNKNOWN_SITE;
}

/*
 * The pre_shared_key extension of a client (RFC 8446, 4.2.11): a list of
 * identities (u16 length, bytes, u32 age) with a u16 length in front, then
 * binders. We offer exactly one identity, so exactly one is taken.
 */
static unsigned tls_judge_psk_extension(const struct dsaa_tls_stream *s, const uint8_t *ext,
					size_t len)
{
	size_t list, id;

	if (len < 4)
		return DSAA_R_MALFORMED;
	list = (size_t)ext[0] << 8 | ext[1];
	id = (size_t)ext[2] << 8 | ext[3];
	if (list > len - 2 || id == 0 || id + 6 != list)
		return DSAA_R_MALFORMED;
	return tls_judge_identity(s, ext + 4, id);
}

/* Server: judges the client's identity before any cryptography; the alert tells the client why. */
static int tls_client_hello(SSL *ssl, int *alert, void *arg)
{
	struct dsaa_tls_stream *s = SSL_get_app_data(ssl);
	const unsigned char *ext;
	size_t len;

	(void)arg;
	if (!SSL_client_hello_get0_ext(ssl, TLSEXT_TYPE_psk, &ext, &len)) {
		s->refusal = DSAA_R_MALFORMED;
		*alert = ALERT_MISSING_EXTENSION;
		return SSL_CLIENT_HELLO_ERROR;
	}
	s->refusal = tls_judge_psk_extension(s, ext, len);
	switch (s->refusal) {
	case DSAA_R_NONE:
		return SSL_CLIENT_HELLO_SUCCESS;
	case DSAA_R_CLUSTER_MISMATCH:
		*alert = ALERT_ACCESS_DENIED;
		break;
	case DSAA_R_MALFORMED:
		*alert = ALERT_DECODE_ERROR;
		break;
	default:
		*alert = ALERT_UNKNOWN_PSK_IDENTITY;
		break;
	}
	return SSL_CLIENT_HELLO_ERROR;
}

/* ------------------------------------------------------------------ context */

static bool tls_context(struct dsaa_tls *tls)
{
	tls->ctx = SSL_CTX_new(TLS_method());
	if (!tls->ctx)
		return false;
	/* Explicit, whatever the machine's openssl.cnf says. */
	if (!SSL_CTX_set_min_proto_version(tls->ctx, TLS1_3_VERSION) ||
	    !SSL_CTX_set_max_proto_version(tls->ctx, TLS1_3_VERSION) ||
	    !SSL_CTX_set_ciphersuites(tls->ctx, TLS_CIPHERS) ||
	    !SSL_CTX_set_num_tickets(tls->ctx, 0) || !SSL_CTX_set_max_early_data(tls->ctx, 0))
		return false;
	SSL_CTX_clear_options(tls->ctx, SSL_OP_ALLOW_NO_DHE_KEX);
	SSL_CTX_set_options(tls->ctx,
			    SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
	SSL_CTX_set_mode(tls->ctx,
			 SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	SSL_CTX_clear_mode(tls->ctx, SSL_MODE_AUTO_RETRY);
	SSL_CTX_set_session_cache_mode(tls->ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_psk_use_session_callback(tls->ctx, tls_use_psk);
	SSL_CTX_set_psk_find_session_callback(tls->ctx, tls_find_psk);
	SSL_CTX_set_client_hello_cb(tls->ctx, tls_client_hello, NULL);
	return true;
}

struct dsaa_tls *dsaa_tls_open(uint32_t cluster_id, dsaa_site_id local, const uint8_t *key,
			       size_t key_len, char *err, size_t errlen)
{
	struct dsaa_tls *tls = calloc(1, sizeof(*tls));
	const char *text;

	if (!tls) {
		snprintf(err, errlen, "no memory for TLS");
		return NULL;
	}
	ERR_clear_error();
	tls->cluster_id = cluster_id;
	tls->local = local;
	tls->bio = tls_bio_method();
	if (tls->bio && dsaa_key_derive(key, key_len, tls->psk) && tls_context(tls))
		return tls;
	text = ERR_reason_error_string(ERR_peek_error());
	snprintf(err, errlen, "TLS cannot be prepared: %s",
		 text ? text : "OpenSSL does not say why");
	ERR_clear_error();
	dsaa_tls_close(tls);
	return NULL;
}

void dsaa_tls_close(struct dsaa_tls *tls)
{
	SSL_CTX_free(tls->ctx);
	BIO_meth_free(tls->bio);
	OPENSSL_cleanse(tls, sizeof(*tls));
	free(tls);
}

/* ------------------------------------------------------------------ streams */

struct dsaa_tls_stream *dsaa_tls_start(struct dsaa_tls *tls, int fd, dsaa_site_id site,
				       bool inbound)
{
	unsigned client = inbound ? site : tls->local, server = inbound ? tls->local : site;
	struct dsaa_tls_stream *s = calloc(1, sizeof(*s));
	BIO *bio;

	if (!s)
		return NULL;
	ERR_clear_error();
	s->tls = tls;
	s->fd = fd;
	s->site = site;
	s->inbound = inbound;
	snprintf(s->identity, sizeof(s->identity), "dsaa/%u/%u/%u", tls->cluster_id, client,
		 server);
	s->ssl = SSL_new(tls->ctx);
	bio = s->ssl ? BIO_new(tls->bio) : NULL;
	if (!bio || !SSL_set_app_data(s->ssl, s)) {
		BIO_free(bio);
		dsaa_tls_free(s);
		return NULL;
	}
	BIO_set_data(bio, s);
	BIO_set_init(bio, 1);
	SSL_set_bio(s->ssl, bio, bio);
	if (inbound) {
		SSL_set_accept_state(s->ssl);
	} else {
		SSL_set_verify(s->ssl, SSL_VERIFY_PEER, NULL);
		SSL_set_connect_state(s->ssl);
	}
	return s;
}

void dsaa_tls_free(struct dsaa_tls_stream *s)
{
	if (!s)
		return;
	SSL_free(s->ssl);
	OPENSSL_cleanse(s, sizeof(*s));
	free(s);
}

static enum dsaa_io tls_fail(struct dsaa_tls_stream *s, unsigned reason, const char *detail)
{
	s->broken = true;
	s->reason = reason;
	snprintf(s->detail, sizeof(s->detail), "%s", detail ? detail : "TLS error");
	return DSAA_IO_FAILED;
}

/* The alert that the peer sent, from OpenSSL's reason; ALERT_NONE when the error is ours. */
static int tls_alert(int ssl_reason)
{
	if (ssl_reason < SSL_AD_REASON_OFFSET || ssl_reason > SSL_AD_REASON_OFFSET + 255)
		return ALERT_NONE;
	return ssl_reason - SSL_AD_REASON_OFFSET;
}

static unsigned tls_handshake_reason(const struct dsaa_tls_stream *s, int ssl_reason)
{
	if (s->refusal != DSAA_R_NONE)
		return s->refusal;
	switch (tls_alert(ssl_reason)) {
	case ALERT_ILLEGAL_PARAMETER:
	case ALERT_DECRYPT_ERROR:
	case ALERT_BAD_RECORD_MAC:
		return DSAA_R_WRONG_KEY;
	case ALERT_ACCESS_DENIED:
		return DSAA_R_CLUSTER_MISMATCH;
	case ALERT_UNKNOWN_PSK_IDENTITY:
		return DSAA_R_UNKNOWN_SITE;
	case ALERT_NONE:
		break;
	default:
		return s->inbound ? DSAA_R_MALFORMED : DSAA_R_CONNECT_FAILED;
	}
	switch (ssl_reason) {
	case SSL_R_BINDER_DOES_NOT_VERIFY:
	case SSL_R_DIGEST_CHECK_FAILED:
	case SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC:
	case SSL_R_CERTIFICATE_VERIFY_FAILED: /* offered instead of the key */
		return DSAA_R_WRONG_KEY;
	default:
		return DSAA_R_MALFORMED;
	}
}

/* Turns the failure RET of an OpenSSL call into an outcome. */
static enum dsaa_io tls_outcome(struct dsaa_tls_stream *s, int ret)
{
	unsigned long code;

	switch (SSL_get_error(s->ssl, ret)) {
	case SSL_ERROR_WANT_READ:
		return DSAA_IO_WANT_READ;
	case SSL_ERROR_WANT_WRITE:
		return DSAA_IO_WANT_WRITE;
	case SSL_ERROR_ZERO_RETURN:
		return DSAA_IO_EOF;
	default:
		break;
	}
	code = ERR_peek_error();
	ERR_clear_error();
	if (s->io_error)
		return tls_fail(s,
				s->up || s->inbound ? DSAA_R_TRANSPORT_LOST : DSAA_R_CONNECT_FAILED,
				strerror(s->io_error));
	if (code == 0 || ERR_GET_REASON(code) == SSL_R_UNEXPECTED_EOF_WHILE_READING) {
		s->broken = true;
		return DSAA_IO_EOF;
	}
	return tls_fail(s, s->up ? DSAA_R_MALFORMED : tls_handshake_reason(s, ERR_GET_REASON(code)),
			ERR_reason_error_string(code));
}

enum dsaa_io dsaa_tls_handshake(struct dsaa_tls_stream *s)
{
	int ret;

	ERR_clear_error();
	ret = SSL_do_handshake(s->ssl);
	if (ret != 1)
		return tls_outcome(s, ret);
	if (!SSL_session_reused(s->ssl) || SSL_version(s->ssl) != TLS1_3_VERSION)
		return tls_fail(s, DSAA_R_WRONG_KEY, "the peer did not use the pre-shared key");
	s->up = true;
	return DSAA_IO_DONE;
}

enum dsaa_io dsaa_tls_read(struct dsaa_tls_stream *s, uint8_t *buf, size_t len, size_t *n)
{
	int ret;

	if (s->broken)
		return DSAA_IO_EOF;
	ERR_clear_error();
	ret = SSL_read_ex(s->ssl, buf, len, n);
	return ret == 1 ? DSAA_IO_DONE : tls_outcome(s, ret);
}

enum dsaa_io dsaa_tls_write(struct dsaa_tls_stream *s, const uint8_t *buf, size_t len, size_t *n)
{
	int ret;

	if (s->broken)
		return DSAA_IO_EOF;
	ERR_clear_error();
	ret = SSL_write_ex(s->ssl, buf, len, n);
	if (ret != 1)
		return tls_outcome(s, ret);
	if (++s->records >= RECORDS_PER_KEY &&
	    SSL_key_update(s->ssl, SSL_KEY_UPDATE_NOT_REQUESTED) == 1)
		s->records = 0;
	return DSAA_IO_DONE;
}

void dsaa_tls_shutdown(struct dsaa_tls_stream *s)
{
	if (s->broken || !s->up)
		return;
	ERR_clear_error();
	(void)SSL_shutdown(s->ssl);
	ERR_clear_error();
	s->broken = true;
}

unsigned dsaa_tls_reason(const struct dsaa_tls_stream *s)
{
	return s->reason;
}

const char *dsaa_tls_detail(const struct dsaa_tls_stream *s)
{
	return s->detail;
}

const char *dsaa_tls_cipher(const struct dsaa_tls_stream *s)
{
	return s->up ? SSL_get_cipher_name(s->ssl) : "";
}
