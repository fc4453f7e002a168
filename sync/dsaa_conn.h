/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One connection of the sync transport: its socket, TLS, buffers and state.
 * Private to sync/. Nothing here calls back: what happened is left in the
 * connection's fields, and dsaa_transport.c decides what it means.
 *
 *	CONNECTING --TCP is up--> HANDSHAKE --peer is proven--> UP
 *	(outbound)                 ^ (inbound begins here)      |
 *	     |                     |                            |
 *	     +---- any failure, drop, end of the stream --------+--> CLOSING --> DEAD
 *
 * HANDSHAKE in plain text: outbound passes through at once; inbound waits for
 * the first byte, which tells our protocol from TLS and from garbage.
 * CLOSING: what is queued leaves, then the end is sent and what comes is
 * thrown away until the peer's end or the deadline, so that no reset destroys
 * the last words (an alert, a goodbye) under way.
 * DEAD: the socket is closed; the memory goes at the end of ready or tick.
 */
#ifndef DSAA_CONN_H
#define DSAA_CONN_H

#include "sync/dsaa_tls.h"
#include "sync/dsaa_transport.h"

/* What an epoll event points to; first member of each. */
enum dsaa_source {
	DSAA_SOURCE_WAKE,
	DSAA_SOURCE_LISTENER,
	DSAA_SOURCE_CONN,
};

enum dsaa_conn_state {
	DSAA_CONN_CONNECTING,
	DSAA_CONN_HANDSHAKE,
	DSAA_CONN_UP,
	DSAA_CONN_CLOSING,
	DSAA_CONN_DEAD,
};

struct dsaa_conn {
	enum dsaa_source source;
	enum dsaa_conn_state state;
	struct dsaa_conn *next;
	int epoll_fd;	 /* not owned */
	int fd;		 /* -1 when there is none */
	uint32_t events; /* that epoll watches for */
	dsaa_site_id site;
	bool inbound;
	bool secure;
	struct dsaa_addr local;
	struct dsaa_addr remote;
	struct dsaa_mono deadline; /* of CONNECTING, HANDSHAKE, CLOSING */

	struct dsaa_tls_stream *tls; /* secure only, from HANDSHAKE on */
	bool sniffed;		     /* the first byte was judged */
	bool read_wants_write;	     /* TLS: reading waits for writability ... */
	bool write_wants_read;	     /* ... and the reverse */
	bool handshake_wants_write;

	bool kick;     /* look at it without an event */
	bool drained;  /* the last read emptied the socket */
	bool paused;   /* the receive buffer is full: not read until there is room */
	bool ended;    /* the peer's end was read */
	bool failed;   /* of no more use; reason and detail tell why */
	bool silenced; /* CLOSING: our end was sent */
	unsigned reason;
	char detail[DSAA_TRANSPORT_DETAIL_MAX];

	/* UP only. Queued bytes: a ring. Received bytes: start..end. */
	uint8_t *send_buf;
	size_t send_start, send_len;
	uint8_t *recv_buf;
	size_t recv_start, recv_end;
	uint64_t bytes_sent, bytes_received;
};

/* A connection over FD (taken over, closed on failure too; may be -1); NULL without memory. */
struct dsaa_conn *dsaa_conn_create(int epoll_fd, int fd, dsaa_site_id site, bool inbound,
				   bool secure);
/* Closes what is open and frees. */
void dsaa_conn_destroy(struct dsaa_conn *c);

/* Notes the first failure; later ones change nothing. */
void dsaa_conn_fail(struct dsaa_conn *c, unsigned reason, const char *detail);

/*
 * Goes on from CONNECTING or HANDSHAKE. True when the peer is proven: call
 * dsaa_conn_up() then. Else it waits, or c->failed.
 */
bool dsaa_conn_advance(struct dsaa_conn *c, struct dsaa_tls *tls);
/* Gets buffers and becomes UP; false (failed) without memory. */
bool dsaa_conn_up(struct dsaa_conn *c);

/*
 * Reads into the receive buffer. Returns how many bytes came; see drained, paused, ended, failed.
 */
size_t dsaa_conn_read(struct dsaa_conn *c);
/* Sends from the ring. Returns how many bytes left; see failed. */
size_t dsaa_conn_flush(struct dsaa_conn *c);
size_t dsaa_conn_room(const struct dsaa_conn *c);
/* Appends LEN bytes, which must fit the room. */
void dsaa_conn_queue(struct dsaa_conn *c, const uint8_t *buf, size_t len);
/* Forgets the first N received bytes. Returns true when reading goes on again. */
bool dsaa_conn_consume(struct dsaa_conn *c, size_t n);

/* Begins to close; DEAD at once when there is nobody to tell. */
void dsaa_conn_close(struct dsaa_conn *c, struct dsaa_mono now);
/* Goes on closing. */
void dsaa_conn_closing(struct dsaa_conn *c);
/* Closes with a reset, at once. */
void dsaa_conn_kill(struct dsaa_conn *c);

/* Tells epoll what the connection waits for now. */
void dsaa_conn_watch(struct dsaa_conn *c);

#endif
