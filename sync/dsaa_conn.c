/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * One connection of the sync transport, see dsaa_conn.h. One thread.
 */
#include "sync/dsaa_conn.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/dsaa_wire.h"
#include "sync/dsaa_socket.h"

enum {
	TLS_ALERT = 0x15,		    /* first byte of a TLS record: an alert ... */
	TLS_HANDSHAKE = 0x16,		    /* ... and a handshake message */
	PLAIN_FIRST = DSAA_WIRE_MAGIC >> 8, /* first byte of our protocol in plain text */
	DISCARD_MAX = 256 << 10,	    /* bytes thrown away per event while closing */
	WRITE_MAX = 64 << 10,		    /* bytes given to TLS at once */
	TAIL_MIN = 16 << 10,		    /* one TLS record is read in one piece */
};

/* What a plain-text peer hears from TLS, a fatal unexpected_message ... */
static const uint8_t farewell_to_plain[] = { TLS_ALERT, 3, 3, 0, 2, 2, 10 };
/* ... and a TLS peer from plain text: the beginning of a message. */
static const uint8_t farewell_to_tls[] = { DSAA_WIRE_MAGIC >> 8, DSAA_WIRE_MAGIC & 0xff };

static const char text_mismatch_plain[] = "the peer speaks plain text, this site TLS";
static const char text_mismatch_tls[] = "the peer speaks TLS, this site plain text";

struct dsaa_conn *dsaa_conn_create(int epoll_fd, int fd, dsaa_site_id site, bool inbound,
				   bool secure)
{
	struct dsaa_conn *c = calloc(1, sizeof(*c));
	struct epoll_event ev = { .data.ptr = c };

	if (!c || (fd >= 0 && epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &ev) < 0)) {
		free(c);
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	c->source = DSAA_SOURCE_CONN;
	c->state = inbound ? DSAA_CONN_HANDSHAKE : DSAA_CONN_CONNECTING;
	c->epoll_fd = epoll_fd;
	c->fd = fd;
	c->site = site;
	c->inbound = inbound;
	c->secure = secure;
	return c;
}

/*
 * Closes. Closing the socket takes it out of epoll. The buffers stay until the
 * connection is destroyed: the caller may be looking at received bytes while
 * it drops the stream that they came from.
 */
static void conn_release(struct dsaa_conn *c)
{
	dsaa_tls_free(c->tls);
	c->tls = NULL;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->state = DSAA_CONN_DEAD;
}

void dsaa_conn_destroy(struct dsaa_conn *c)
{
	conn_release(c);
	free(c->send_buf);
	free(c->recv_buf);
	free(c);
}

void dsaa_conn_fail(struct dsaa_conn *c, unsigned reason, const char *detail)
{
	if (c->failed)
		return;
	c->failed = true;
	c->reason = reason;
	snprintf(c->detail, sizeof(c->detail), "%s", detail);
}

/* Sends a few last bytes in plain, past TLS. */
static void conn_farewell(struct dsaa_conn *c, const uint8_t *bytes, size_t len)
{
	(void)send(c->fd, bytes, len, MSG_NOSIGNAL);
}

/* ------------------------------------------------------------------ until it is up */

/* Judges the first byte without taking it. True when the handshake may go on. */
static bool conn_sniff(struct dsaa_conn *c)
{
	uint8_t first;
	ssize_t n = recv(c->fd, &first, 1, MSG_PEEK);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return false;
	if (n < 0) {
		dsaa_conn_fail(c, c->inbound ? DSAA_R_TRANSPORT_LOST : DSAA_R_CONNECT_FAILED,
			       strerror(errno));
	} else if (n == 0) {
		c->ended = true;
		dsaa_conn_fail(c, c->inbound ? DSAA_R_TRANSPORT_LOST : DSAA_R_CONNECT_FAILED,
			       "the peer closed the connection before it was set up");
	} else if (c->secure && first == PLAIN_FIRST) {
		conn_farewell(c, farewell_to_plain, sizeof(farewell_to_plain));
		dsaa_conn_fail(c, DSAA_R_SECURITY_MISMATCH, text_mismatch_plain);
	} else if (!c->secure && (first == TLS_HANDSHAKE || first == TLS_ALERT)) {
		conn_farewell(c, farewell_to_tls, sizeof(farewell_to_tls));
		dsaa_conn_fail(c, DSAA_R_SECURITY_MISMATCH, text_mismatch_tls);
	} else if (c->secure ? first != TLS_HANDSHAKE && (c->inbound || first != TLS_ALERT) :
			       first != PLAIN_FIRST) {
		dsaa_conn_fail(c, DSAA_R_MALFORMED, "the first byte is of no known protocol");
	} else {
		c->sniffed = true;
	}
	return c->sniffed;
}

static bool conn_handshake_tls(struct dsaa_conn *c, struct dsaa_tls *tls)
{
	bool reading = c->inbound || c->tls;

	if (reading && !c->sniffed && !conn_sniff(c))
		return false;
	if (!c->tls)
		c->tls = dsaa_tls_start(tls, c->fd, c->site, c->inbound);
	if (!c->tls) {
		dsaa_conn_fail(c, DSAA_R_CONNECT_FAILED, "no memory for a TLS connection");
		return false;
	}
	c->handshake_wants_write = false;
	switch (dsaa_tls_handshake(c->tls)) {
	case DSAA_IO_DONE:
		return true;
	case DSAA_IO_WANT_READ:
		break;
	case DSAA_IO_WANT_WRITE:
		c->handshake_wants_write = true;
		break;
	case DSAA_IO_EOF:
		c->ended = true;
		dsaa_conn_fail(c, c->inbound ? DSAA_R_TRANSPORT_LOST : DSAA_R_CONNECT_FAILED,
			       "the peer closed the connection in the handshake");
		break;
	case DSAA_IO_FAILED:
		dsaa_conn_fail(c, dsaa_tls_reason(c->tls), dsaa_tls_detail(c->tls));
		break;
	}
	return false;
}

bool dsaa_conn_advance(struct dsaa_conn *c, struct dsaa_tls *tls)
{
	if (c->state == DSAA_CONN_CONNECTING) {
		int error = dsaa_socket_error(c->fd);

		if (error) {
			dsaa_conn_fail(c, DSAA_R_CONNECT_FAILED, strerror(error));
			return false;
		}
		c->state = DSAA_CONN_HANDSHAKE;
	}
	if (c->secure)
		return conn_handshake_tls(c, tls);
	return !c->inbound || conn_sniff(c);
}

bool dsaa_conn_up(struct dsaa_conn *c)
{
	c->send_buf = malloc(DSAA_TRANSPORT_SEND_BUFFER);
	c->recv_buf = malloc(DSAA_TRANSPORT_RECV_BUFFER);
	if (!c->send_buf || !c->recv_buf) {
		dsaa_conn_fail(c, DSAA_R_CONNECT_FAILED,
			       "no memory for the buffers of a connection");
		return false;
	}
	c->state = DSAA_CONN_UP;
	c->kick = true; /* the first data may have come with the handshake */
	return true;
}

/* ------------------------------------------------------------------ reading */

static enum dsaa_io conn_read_plain(struct dsaa_conn *c, uint8_t *buf, size_t len, size_t *n)
{
	ssize_t got = recv(c->fd, buf, len, 0);

	if (got > 0) {
		*n = (size_t)got;
		return DSAA_IO_DONE;
	}
	if (got == 0)
		return DSAA_IO_EOF;
	if (errno == EAGAIN || errno == EINTR)
		return DSAA_IO_WANT_READ;
	dsaa_conn_fail(c, DSAA_R_TRANSPORT_LOST, strerror(errno));
	return DSAA_IO_FAILED;
}

/* How much can be read in one piece. Received bytes move to the front only when that is little. */
static size_t conn_space(struct dsaa_conn *c)
{
	size_t len = c->recv_end - c->recv_start;
	size_t tail = DSAA_TRANSPORT_RECV_BUFFER - c->recv_end;

	if (c->recv_start == 0 || tail >= TAIL_MIN)
		return tail;
	memmove(c->recv_buf, c->recv_buf + c->recv_start, len);
	c->recv_start = 0;
	c->recv_end = len;
	return DSAA_TRANSPORT_RECV_BUFFER - len;
}

/* An outbound plain-text connection hears TLS only now, as an alert. */
static size_t conn_first_bytes(struct dsaa_conn *c, size_t n)
{
	if (c->secure || c->inbound || c->sniffed || n == 0)
		return n;
	c->sniffed = true;
	if (c->recv_buf[c->recv_start] != TLS_ALERT)
		return n;
	c->failed = false; /* this says more than a reset that came after it */
	dsaa_conn_fail(c, DSAA_R_SECURITY_MISMATCH, text_mismatch_tls);
	c->recv_end = c->recv_start;
	return 0;
}

/* One read after the received bytes. True when another one may follow. */
static bool conn_read_once(struct dsaa_conn *c, size_t space, size_t *total)
{
	uint8_t *to = c->recv_buf + c->recv_end;
	size_t n = 0;
	enum dsaa_io io = c->secure ? dsaa_tls_read(c->tls, to, space, &n) :
				      conn_read_plain(c, to, space, &n);

	switch (io) {
	case DSAA_IO_DONE:
		c->recv_end += n;
		*total += n;
		return true;
	case DSAA_IO_EOF:
		c->ended = true;
		return false;
	case DSAA_IO_FAILED:
		if (c->secure)
			dsaa_conn_fail(c, dsaa_tls_reason(c->tls), dsaa_tls_detail(c->tls));
		return false;
	default:
		c->drained = true;
		c->read_wants_write = io == DSAA_IO_WANT_WRITE;
		return false;
	}
}

/* Also after a failed write: the peer's last words may still be there. */
size_t dsaa_conn_read(struct dsaa_conn *c)
{
	size_t space, total = 0;
	bool more = !c->ended;

	c->drained = false;
	c->paused = false;
	c->read_wants_write = false;
	while (more) {
		space = conn_space(c);
		c->paused = space == 0;
		more = space > 0 && conn_read_once(c, space, &total);
	}
	total = conn_first_bytes(c, total);
	c->bytes_received += total;
	return total;
}

bool dsaa_conn_consume(struct dsaa_conn *c, size_t n)
{
	size_t len = c->recv_end - c->recv_start;

	c->recv_start += n < len ? n : len;
	len = c->recv_end - c->recv_start;
	if (len == 0)
		c->recv_start = c->recv_end = 0;
	if (!c->paused || DSAA_TRANSPORT_RECV_BUFFER - len < DSAA_TRANSPORT_RECV_RESUME)
		return false;
	c->paused = false;
	c->kick = true; /* TLS may hold bytes that no event tells of */
	return true;
}

/* ------------------------------------------------------------------ writing */

static enum dsaa_io conn_write_plain(struct dsaa_conn *c, const uint8_t *buf, size_t len, size_t *n)
{
	ssize_t put = send(c->fd, buf, len, MSG_NOSIGNAL);

	if (put >= 0) {
		*n = (size_t)put;
		return DSAA_IO_DONE;
	}
	if (errno == EAGAIN || errno == EINTR)
		return DSAA_IO_WANT_WRITE;
	dsaa_conn_fail(c, DSAA_R_TRANSPORT_LOST, strerror(errno));
	return DSAA_IO_FAILED;
}

/* The piece at the ring's start that lies in one piece of memory. It never
 * shrinks but by what was sent: TLS wants the same bytes again after a WANT. */
static size_t conn_send_piece(const struct dsaa_conn *c)
{
	size_t piece = DSAA_TRANSPORT_SEND_BUFFER - c->send_start;

	if (piece > c->send_len)
		piece = c->send_len;
	return piece < WRITE_MAX ? piece : WRITE_MAX;
}

size_t dsaa_conn_flush(struct dsaa_conn *c)
{
	size_t n, total = 0;

	c->write_wants_read = false;
	while (c->send_len > 0 && !c->failed) {
		const uint8_t *from = c->send_buf + c->send_start;
		size_t piece = conn_send_piece(c);
		enum dsaa_io io = c->secure ? dsaa_tls_write(c->tls, from, piece, &n) :
					      conn_write_plain(c, from, piece, &n);

		if (io == DSAA_IO_WANT_READ)
			c->write_wants_read = true;
		if (io == DSAA_IO_WANT_READ || io == DSAA_IO_WANT_WRITE)
			break;
		if (io == DSAA_IO_DONE) {
			c->send_start = (c->send_start + n) % DSAA_TRANSPORT_SEND_BUFFER;
			c->send_len -= n;
			total += n;
		} else if (io == DSAA_IO_EOF) {
			dsaa_conn_fail(c, DSAA_R_TRANSPORT_LOST, "the stream has ended");
		} else if (c->secure) {
			dsaa_conn_fail(c, dsaa_tls_reason(c->tls), dsaa_tls_detail(c->tls));
		}
	}
	c->bytes_sent += total;
	return total;
}

size_t dsaa_conn_room(const struct dsaa_conn *c)
{
	return c->failed || c->state != DSAA_CONN_UP ? 0 : DSAA_TRANSPORT_SEND_BUFFER - c->send_len;
}

void dsaa_conn_queue(struct dsaa_conn *c, const uint8_t *buf, size_t len)
{
	size_t at = (c->send_start + c->send_len) % DSAA_TRANSPORT_SEND_BUFFER;
	size_t first = DSAA_TRANSPORT_SEND_BUFFER - at;

	if (first > len)
		first = len;
	memcpy(c->send_buf + at, buf, first);
	memcpy(c->send_buf, buf + first, len - first);
	c->send_len += len;
}

/* ------------------------------------------------------------------ closing */

/* Throws away what came. True at the peer's end or an error. */
static bool conn_discard(struct dsaa_conn *c)
{
	uint8_t waste[8192];
	size_t total = 0;
	ssize_t n;

	while (total < DISCARD_MAX) {
		n = recv(c->fd, waste, sizeof(waste), 0);
		if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
			return true;
		if (n < 0)
			return false;
		total += (size_t)n;
	}
	return false;
}

void dsaa_conn_closing(struct dsaa_conn *c)
{
	if (c->send_len > 0)
		(void)dsaa_conn_flush(c);
	if (!c->silenced && (c->send_len == 0 || c->failed)) {
		if (c->tls)
			dsaa_tls_shutdown(c->tls);
		(void)shutdown(c->fd, SHUT_WR);
		c->silenced = true;
	}
	if (conn_discard(c) || (c->ended && c->silenced))
		conn_release(c);
}

void dsaa_conn_close(struct dsaa_conn *c, struct dsaa_mono now)
{
	if (c->fd < 0 || c->state == DSAA_CONN_CONNECTING) {
		conn_release(c);
		return;
	}
	if (c->state != DSAA_CONN_UP)
		c->send_len = 0;
	c->state = DSAA_CONN_CLOSING;
	c->deadline = dsaa_mono_add_ms(now, DSAA_TRANSPORT_CLOSING_MS);
	c->kick = false;
	dsaa_conn_closing(c);
	dsaa_conn_watch(c);
}

void dsaa_conn_kill(struct dsaa_conn *c)
{
	if (c->fd >= 0)
		dsaa_socket_abort(c->fd);
	c->fd = -1;
	conn_release(c);
}

/* ------------------------------------------------------------------ events */

static uint32_t conn_events(const struct dsaa_conn *c)
{
	uint32_t events = 0;

	switch (c->state) {
	case DSAA_CONN_CONNECTING:
		return EPOLLOUT;
	case DSAA_CONN_HANDSHAKE:
		return c->handshake_wants_write ? EPOLLOUT : EPOLLIN;
	case DSAA_CONN_UP:
		if (!c->paused && !c->ended && !c->failed)
			events |= EPOLLIN;
		if ((c->send_len > 0 && !c->write_wants_read) || c->read_wants_write)
			events |= EPOLLOUT;
		return events;
	case DSAA_CONN_CLOSING:
		return c->send_len > 0 && !c->failed ? EPOLLIN | EPOLLOUT : EPOLLIN;
	default:
		return 0;
	}
}

void dsaa_conn_watch(struct dsaa_conn *c)
{
	struct epoll_event ev = { .events = conn_events(c), .data.ptr = c };

	if (c->fd < 0 || ev.events == c->events)
		return;
	if (epoll_ctl(c->epoll_fd, EPOLL_CTL_MOD, c->fd, &ev) == 0)
		c->events = ev.events;
}
