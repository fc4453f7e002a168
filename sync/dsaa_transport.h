/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The transport of the sync sessions: one byte stream per peer site over
 * (multipath) TCP, in TLS 1.3 with the pre-shared key, or in plain text when
 * the operator said `sync insecure`. It knows nothing of messages.
 *
 * One thread makes all calls. Nothing blocks. The transport owns one
 * descriptor, dsaa_transport_fd(): whenever it is readable (level triggered),
 * the caller calls dsaa_transport_ready(); and dsaa_transport_tick() at least
 * four times a second. Callbacks come out of these two functions only, never
 * out of send, connect, consume or drop; inside a callback every function but
 * dsaa_transport_close() may be called.
 *
 * Who is let in: a connection must come from a sync-address of a configured
 * peer, and in TLS its identity must name that same site and its key must be
 * ours. Whatever fails is refused with a reason, counted, and changes nothing
 * of a session that is up. Nobody but that peer, authenticated, replaces one.
 * In plain text the source address is all there is.
 *
 * No SIGPIPE: every write is a send with MSG_NOSIGNAL, TLS included.
 */
#ifndef DSAA_TRANSPORT_H
#define DSAA_TRANSPORT_H

#include "core/dsaa_limits.h"
#include "core/dsaa_reason.h"
#include "core/dsaa_types.h"

enum dsaa_transport_limits {
	DSAA_TRANSPORT_SEND_BUFFER = 1 << 20,	/* bytes per connected peer */
	DSAA_TRANSPORT_RECV_BUFFER = 256 << 10, /* bytes per connected peer */
	/* reading goes on again when this much of the receive buffer is free;
	 * longer than the longest message */
	DSAA_TRANSPORT_RECV_RESUME = 80 << 10,
	DSAA_TRANSPORT_CONNECT_MS = 1500, /* no answer by then: another link may be better */
	DSAA_TRANSPORT_HANDSHAKE_MS = 5000,
	DSAA_TRANSPORT_LINKS_MAX = 8,	  /* subflows that are told of */
	DSAA_TRANSPORT_CLOSING_MS = 1000, /* how long what was sent may take to leave */
	DSAA_TRANSPORT_LISTEN_RETRY_MS = 1000,
	DSAA_TRANSPORT_PENDING_PER_SITE = 4, /* unfinished inbound handshakes */
	DSAA_TRANSPORT_CLOSING_MAX = 32,
	DSAA_TRANSPORT_NOTSENT_LOWAT = 128 << 10,
	DSAA_TRANSPORT_DETAIL_MAX = 160, /* bytes of a detail text with its NUL */
};

struct dsaa_transport_peer {
	dsaa_site_id site;
	uint8_t addresses;
	struct dsaa_addr address[DSAA_SITE_SYNC_ADDRESSES_MAX]; /* of the peer, by link */
};

/* Everything is copied by dsaa_transport_open(); the key is not kept, only what is derived. */
struct dsaa_transport_config {
	dsaa_site_id local;
	uint32_t cluster_id;
	uint16_t port;
	bool secure;	    /* TLS; false: plain text */
	bool multipath;	    /* try MPTCP, fall back to TCP when the kernel has none */
	const uint8_t *key; /* secure: content of the key file, see dsaa_key_load() */
	size_t key_len;
	uint32_t user_timeout_ms; /* unacknowledged data ends the connection; 0: the kernel's */
	uint8_t local_addresses;
	struct dsaa_addr local_address[DSAA_SITE_SYNC_ADDRESSES_MAX]; /* ours, by link */
	uint8_t peers;
	struct dsaa_transport_peer peer[DSAA_SITES_MAX];
};

/* SITE is never 0 unless said. DETAIL is a short text for logs, valid during the call. */
struct dsaa_transport_callbacks {
	/* An authenticated stream to SITE is up, in either direction. */
	void (*connected)(void *arg, dsaa_site_id site, bool secure);
	/*
	 * The stream to SITE ended, or dsaa_transport_connect() failed
	 * (REASON enum dsaa_reason). Bytes not consumed are gone. Not called
	 * for what dsaa_transport_drop() ended.
	 */
	void (*disconnected)(void *arg, dsaa_site_id site, unsigned reason, const char *detail);
	/*
	 * New bytes wait: peek and consume until nothing more can be used. It is
	 * called for new bytes only, not again for what was left.
	 */
	void (*received)(void *arg, dsaa_site_id site);
	/* The send buffer of SITE drained; ROOM bytes fit now. */
	void (*writable)(void *arg, dsaa_site_id site, size_t room);
	/*
	 * An inbound connection from ADDRESS was refused. SITE is the one that
	 * the address belongs to, 0 for a stranger. Not authenticated: it says
	 * why a session may not come up, and must not end one that is up. The
	 * caller limits the rate of logs; dsaa_transport_counters() has them all.
	 */
	void (*refused)(void *arg, const struct dsaa_addr *address, dsaa_site_id site,
			unsigned reason, const char *detail);
	/*
	 * Listening on our ADDRESS began (ERROR 0) or failed (errno). Only told
	 * on a change; tried again each DSAA_TRANSPORT_LISTEN_RETRY_MS.
	 */
	void (*listening)(void *arg, const struct dsaa_addr *address, int error);
};

struct dsaa_transport_counters {
	uint64_t accepted;  /* TCP connections that came in, strangers too */
	uint64_t attempts;  /* outbound connections tried */
	uint64_t connected; /* streams that came up, both directions */
	uint64_t accept_errors;
	uint64_t refused[DSAA_REASONS_MAX]; /* inbound, by reason */
	uint64_t failed[DSAA_REASONS_MAX];  /* outbound before the stream was up, by reason */
	uint64_t ended[DSAA_REASONS_MAX];   /* streams that were up, by reason */
};

/* Both ends of what carries a stream. */
struct dsaa_transport_link {
	struct dsaa_addr local, remote;
};

/* What the stream to a peer is made of, for show commands. */
struct dsaa_transport_info {
	bool connected;
	bool secure;
	bool multipath;	   /* MPTCP is spoken with the peer (not only tried) */
	bool user_timeout; /* the kernel took the user timeout (MPTCP sockets refuse it) */
	bool inbound;
	char cipher[32];	/* empty in plain text */
	struct dsaa_addr local; /* of its beginning */
	struct dsaa_addr remote;
	uint8_t links; /* subflows of MPTCP, or the one connection */
	struct dsaa_transport_link link[DSAA_TRANSPORT_LINKS_MAX];
	uint64_t bytes_sent;	 /* by the caller, taken by the kernel */
	uint64_t bytes_received; /* given to the caller */
	size_t send_queued;
	size_t receive_queued;
};

struct dsaa_transport;

/*
 * Checks CONFIG, prepares TLS and starts to listen on each local address at
 * the next ready or tick. An address that cannot be listened on does not make
 * it fail. Returns NULL with a sentence in ERR when the configuration is wrong
 * or a resource is missing. CALLBACKS is copied; each of them must be set.
 */
struct dsaa_transport *dsaa_transport_open(const struct dsaa_transport_config *config,
					   struct dsaa_mono now,
					   const struct dsaa_transport_callbacks *callbacks,
					   void *arg, char *err, size_t errlen);
/* Writes what can be written at once, closes everything without callbacks, wipes keys. */
void dsaa_transport_close(struct dsaa_transport *t);

/* The descriptor to watch for readability; stays the same for the life of T. */
int dsaa_transport_fd(const struct dsaa_transport *t);
/* Does a bounded piece of the work that waits. Call when the descriptor is readable. */
void dsaa_transport_ready(struct dsaa_transport *t, struct dsaa_mono now);
/* Timeouts and listeners. */
void dsaa_transport_tick(struct dsaa_transport *t, struct dsaa_mono now);

/*
 * Starts to connect to sync-address ADDRESS (index) of SITE, from our address
 * of the same link (same index; else the first of that family). Answered by
 * connected or disconnected. Returns false, and does nothing, when SITE or
 * ADDRESS is not configured, or SITE is connected or being connected to.
 */
bool dsaa_transport_connect(struct dsaa_transport *t, dsaa_site_id site, unsigned address);
/* Sends what fits without waiting long, then closes the stream or the attempt. No callback. */
void dsaa_transport_drop(struct dsaa_transport *t, dsaa_site_id site);

/* Bytes that dsaa_transport_send() takes now; 0 when SITE is not connected. */
size_t dsaa_transport_room(const struct dsaa_transport *t, dsaa_site_id site);
/* Takes all LEN bytes for SITE, or none (false): not connected, or no room. */
bool dsaa_transport_send(struct dsaa_transport *t, dsaa_site_id site, const uint8_t *buf,
			 size_t len);
/*
 * Points *BUF to the *LEN received bytes, valid until consume, ready or tick
 * (inside a callback: until consume, or the callback returns); false when
 * there are none. When more than DSAA_TRANSPORT_RECV_BUFFER -
 * DSAA_TRANSPORT_RECV_RESUME bytes are left unconsumed, reading may pause
 * until some are consumed: that is the back-pressure.
 */
bool dsaa_transport_peek(const struct dsaa_transport *t, dsaa_site_id site, const uint8_t **buf,
			 size_t *len);
/* Gives back the first N of the peeked bytes. */
void dsaa_transport_consume(struct dsaa_transport *t, dsaa_site_id site, size_t n);

/* The counters since open; valid as long as T. */
const struct dsaa_transport_counters *dsaa_transport_counters(const struct dsaa_transport *t);
/* Fills *INFO; false when SITE is not a configured peer. */
bool dsaa_transport_info(const struct dsaa_transport *t, dsaa_site_id site,
			 struct dsaa_transport_info *info);

#endif
