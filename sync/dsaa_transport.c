/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The transport of the sync sessions, see dsaa_transport.h: who is listened
 * to, who is let in, what the caller hears. One thread makes all calls.
 *
 * All descriptors sit in one epoll instance, whose descriptor the caller
 * watches. A wake-up counter in it makes the caller come back for work that no
 * socket tells of: a failed send, TLS bytes after a pause, the first listen.
 *
 * Invariants:
 * - A connection is in the list from its creation until reap() frees it, and
 *   reap() runs only when no callback is active, so no pointer dangles.
 * - peer.up, peer.attempt point to connections in state UP, and CONNECTING or
 *   HANDSHAKE (outbound). peer.pending counts inbound ones in HANDSHAKE.
 * - An unauthenticated connection never touches peer.up.
 */
#include "sync/dsaa_transport.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "sync/dsaa_conn.h"
#include "sync/dsaa_key.h"
#include "sync/dsaa_socket.h"

enum {
	EVENTS_PER_READY = 32,
	ACCEPTS_PER_READY = 32,
	READS_PER_READY = 4, /* receive buffers of one connection */
};

struct listener {
	enum dsaa_source source;
	int fd;	   /* -1: not listening */
	int error; /* as told to the caller */
	bool told;
	bool masked; /* no descriptors left: not watched until the next try */
	struct dsaa_addr addr;
	struct dsaa_mono retry;
};

struct peer {
	bool configured;
	uint8_t addresses;
	uint8_t pending;
	struct dsaa_addr address[DSAA_SITE_SYNC_ADDRESSES_MAX];
	struct dsaa_conn *up;
	struct dsaa_conn *attempt;
};

struct dsaa_transport {
	enum dsaa_source wake_source;
	int epoll_fd;
	int wake_fd;
	struct dsaa_transport_callbacks cb;
	void *arg;
	bool busy; /* inside ready or tick */
	bool secure;
	bool multipath;
	dsaa_site_id local;
	uint16_t port;
	uint32_t user_timeout_ms;
	struct dsaa_mono now;
	struct dsaa_tls *tls;
	struct dsaa_conn *conns;
	uint8_t listeners;
	struct listener listener[DSAA_SITE_SYNC_ADDRESSES_MAX];
	struct peer peer[DSAA_SITES_MAX + 1]; /* index = site number */
	struct dsaa_transport_counters counters;
};

/* Makes the descriptor readable, so that the caller comes to ready. */
static void wake(struct dsaa_transport *t)
{
	uint64_t one = 1;

	/* Fails only when the counter is full, and then it is readable anyway. */
	if (write(t->wake_fd, &one, sizeof(one)) < 0)
		return;
}

static void wake_clear(struct dsaa_transport *t)
{
	uint64_t count;

	if (read(t->wake_fd, &count, sizeof(count)) < 0)
		return;
}

static void kick(struct dsaa_transport *t, struct dsaa_conn *c)
{
	c->kick = true;
	wake(t);
}

/* ------------------------------------------------------------------ connections end */

/* Connections that close at their own pace are bounded: past that, they are reset. */
static void close_gently(struct dsaa_transport *t, struct dsaa_conn *c)
{
	unsigned closing = 0;

	for (struct dsaa_conn *i = t->conns; i; i = i->next)
		closing += i->state == DSAA_CONN_CLOSING;
	if (closing < DSAA_TRANSPORT_CLOSING_MAX)
		dsaa_conn_close(c, t->now);
	else
		dsaa_conn_kill(c);
}

/* Takes C out of its peer's places; it closes or is reset later. */
static void detach(struct dsaa_transport *t, struct dsaa_conn *c)
{
	struct peer *p = &t->peer[c->site];

	if (p->up == c)
		p->up = NULL;
	else if (p->attempt == c)
		p->attempt = NULL;
	else if (c->inbound && c->state == DSAA_CONN_HANDSHAKE)
		p->pending--;
}

static void refuse(struct dsaa_transport *t, const struct dsaa_addr *addr, dsaa_site_id site,
		   unsigned reason, const char *detail)
{
	t->counters.refused[reason]++;
	t->cb.refused(t->arg, addr, site, reason, detail);
}

/*
 * Ends a connection that failed or that the peer ended, and tells the caller.
 * C stays allocated until reap(), so DETAIL may be its own.
 */
static void end(struct dsaa_transport *t, struct dsaa_conn *c, unsigned reason, const char *detail)
{
	dsaa_site_id site = c->site;
	bool was_up = t->peer[site].up == c;
	bool outbound = t->peer[site].attempt == c;

	detach(t, c);
	close_gently(t, c);
	if (was_up) {
		t->counters.ended[reason]++;
		t->cb.disconnected(t->arg, site, reason, detail);
	} else if (outbound) {
		t->counters.failed[reason]++;
		t->cb.disconnected(t->arg, site, reason, detail);
	} else {
		refuse(t, &c->remote, site, reason, detail);
	}
}

/* Frees what is dead. Only when nobody can hold a pointer. */
static void reap(struct dsaa_transport *t)
{
	struct dsaa_conn **at = &t->conns;

	while (*at) {
		struct dsaa_conn *c = *at;

		if (c->state != DSAA_CONN_DEAD) {
			at = &c->next;
			continue;
		}
		*at = c->next;
		dsaa_conn_destroy(c);
	}
}

/* ------------------------------------------------------------------ connections live */

/*
 * C has proven to be its site. An older stream of that site is over: the peer
 * would not connect anew if it still had it. An attempt of ours is superfluous.
 */
static void established(struct dsaa_transport *t, struct dsaa_conn *c)
{
	struct peer *p = &t->peer[c->site];

	detach(t, c);
	if (!dsaa_conn_up(c)) {
		close_gently(t, c);
		if (c->inbound)
			refuse(t, &c->remote, c->site, c->reason, c->detail);
		else
			t->cb.disconnected(t->arg, c->site, c->reason, c->detail);
		return;
	}
	if (p->up)
		end(t, p->up, DSAA_R_TRANSPORT_LOST, "the peer connected anew");
	if (p->attempt) {
		struct dsaa_conn *attempt = p->attempt;

		detach(t, attempt);
		dsaa_conn_kill(attempt);
	}
	p->up = c;
	t->counters.connected++;
	wake(t); /* for its kick */
	t->cb.connected(t->arg, c->site, c->secure);
}

static void event_setup(struct dsaa_transport *t, struct dsaa_conn *c)
{
	bool connecting = c->state == DSAA_CONN_CONNECTING;

	if (!c->failed && dsaa_conn_advance(c, t->tls))
		established(t, c);
	else if (c->failed)
		end(t, c, c->reason, c->detail);
	if (connecting && c->state == DSAA_CONN_HANDSHAKE)
		c->deadline = dsaa_mono_add_ms(t->now, DSAA_TRANSPORT_HANDSHAKE_MS);
	if (c->state != DSAA_CONN_DEAD)
		dsaa_conn_watch(c);
}

/* Reads and hands over, a bounded number of times. */
static void event_read(struct dsaa_transport *t, struct dsaa_conn *c)
{
	for (unsigned i = 0; i < READS_PER_READY; i++) {
		if (dsaa_conn_read(c) > 0)
			t->cb.received(t->arg, c->site);
		if (c->state != DSAA_CONN_UP || c->drained || c->ended || c->failed)
			return;
		if (c->paused)
			return; /* until the caller consumes */
	}
	kick(t, c);
}

static void event_up(struct dsaa_transport *t, struct dsaa_conn *c, uint32_t events)
{
	size_t moved = dsaa_conn_flush(c);
	bool hung_up = events & (EPOLLERR | EPOLLHUP);

	if (!c->paused || hung_up)
		event_read(t, c);
	if (c->state != DSAA_CONN_UP)
		return;
	/* A dead socket tells so until it is closed; no use in keeping it for unread bytes. */
	if (hung_up && !c->ended && !c->failed) {
		int error = dsaa_socket_error(c->fd);

		dsaa_conn_fail(c, DSAA_R_TRANSPORT_LOST,
			       error ? strerror(error) : "the connection was reset");
	}
	if (c->failed || c->ended) {
		end(t, c, c->failed ? c->reason : DSAA_R_TRANSPORT_LOST,
		    c->failed ? c->detail : "the peer closed the connection");
		return;
	}
	if (moved > 0)
		t->cb.writable(t->arg, c->site, dsaa_conn_room(c));
	if (c->state == DSAA_CONN_UP)
		dsaa_conn_watch(c);
}

static void event_conn(struct dsaa_transport *t, struct dsaa_conn *c, uint32_t events)
{
	c->kick = false;
	switch (c->state) {
	case DSAA_CONN_CONNECTING:
	case DSAA_CONN_HANDSHAKE:
		event_setup(t, c);
		break;
	case DSAA_CONN_UP:
		/* Replaced, but not yet told of: see established(). */
		if (t->peer[c->site].up == c)
			event_up(t, c, events);
		break;
	case DSAA_CONN_CLOSING:
		dsaa_conn_closing(c);
		dsaa_conn_watch(c);
		break;
	case DSAA_CONN_DEAD:
		break;
	}
}

static void kicked(struct dsaa_transport *t)
{
	/* New connections come in at the head, so the walk is bounded. */
	for (struct dsaa_conn *c = t->conns; c; c = c->next)
		if (c->kick)
			event_conn(t, c, 0);
}

/* ------------------------------------------------------------------ listening */

/* The peer that owns the sync-address ADDR; 0 for a stranger. */
static dsaa_site_id site_of(const struct dsaa_transport *t, const struct dsaa_addr *addr)
{
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++)
		for (unsigned i = 0; i < t->peer[s].addresses; i++)
			if (dsaa_addr_equal(&t->peer[s].address[i], addr))
				return (dsaa_site_id)s;
	return 0;
}

static void let_in(struct dsaa_transport *t, const struct listener *l, int fd,
		   const struct dsaa_addr *remote)
{
	dsaa_site_id site = site_of(t, remote);
	struct dsaa_conn *c;

	if (site == 0) {
		dsaa_socket_abort(fd);
		refuse(t, remote, 0, DSAA_R_STRANGER, "the address belongs to no configured site");
		return;
	}
	if (t->peer[site].pending >= DSAA_TRANSPORT_PENDING_PER_SITE) {
		dsaa_socket_abort(fd);
		refuse(t, remote, site, DSAA_R_TOO_MANY, "too many unfinished connections");
		return;
	}
	c = dsaa_conn_create(t->epoll_fd, fd, site, true, t->secure);
	if (!c) {
		t->counters.accept_errors++;
		return;
	}
	c->local = l->addr;
	c->remote = *remote;
	c->deadline = dsaa_mono_add_ms(t->now, DSAA_TRANSPORT_HANDSHAKE_MS);
	c->next = t->conns;
	t->conns = c;
	t->peer[site].pending++;
	dsaa_conn_watch(c);
}

static void listener_watch(struct dsaa_transport *t, struct listener *l, bool masked)
{
	struct epoll_event ev = { .events = masked ? 0 : EPOLLIN, .data.ptr = l };

	l->masked = masked;
	l->retry = dsaa_mono_add_ms(t->now, DSAA_TRANSPORT_LISTEN_RETRY_MS);
	(void)epoll_ctl(t->epoll_fd, EPOLL_CTL_MOD, l->fd, &ev);
}

static void event_listener(struct dsaa_transport *t, struct listener *l)
{
	struct dsaa_addr remote;

	for (unsigned i = 0; i < ACCEPTS_PER_READY; i++) {
		int fd = dsaa_socket_accept(l->fd, &remote, t->user_timeout_ms);

		if (fd >= 0) {
			t->counters.accepted++;
			let_in(t, l, fd, &remote);
			continue;
		}
		if (errno == EAGAIN)
			return;
		t->counters.accept_errors++;
		/* Without descriptors or memory it would be ready for ever: rest a while. */
		if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
			listener_watch(t, l, true);
			return;
		}
	}
}

static void listener_try(struct dsaa_transport *t, struct listener *l)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = l };
	int error = 0;

	l->retry = dsaa_mono_add_ms(t->now, DSAA_TRANSPORT_LISTEN_RETRY_MS);
	l->fd = dsaa_socket_listen(&l->addr, t->port, t->multipath);
	if (l->fd < 0) {
		error = errno;
	} else if (epoll_ctl(t->epoll_fd, EPOLL_CTL_ADD, l->fd, &ev) < 0) {
		error = errno;
		close(l->fd);
		l->fd = -1;
	}
	if (l->told && l->error == error)
		return;
	l->told = true;
	l->error = error;
	t->cb.listening(t->arg, &l->addr, error);
}

static void listeners_try(struct dsaa_transport *t)
{
	for (unsigned i = 0; i < t->listeners; i++) {
		struct listener *l = &t->listener[i];

		if (l->told && !dsaa_mono_reached(t->now, l->retry))
			continue;
		if (l->fd < 0)
			listener_try(t, l);
		else if (l->masked)
			listener_watch(t, l, false);
	}
}

/* ------------------------------------------------------------------ work */

static void deadline(struct dsaa_transport *t, struct dsaa_conn *c)
{
	switch (c->state) {
	case DSAA_CONN_CONNECTING:
		dsaa_conn_fail(c, DSAA_R_CONNECT_FAILED, "no answer to the connection request");
		break;
	case DSAA_CONN_HANDSHAKE:
		dsaa_conn_fail(c, c->inbound ? DSAA_R_HANDSHAKE_TIMEOUT : DSAA_R_CONNECT_FAILED,
			       "the handshake took too long");
		break;
	case DSAA_CONN_CLOSING:
		dsaa_conn_kill(c);
		return;
	default:
		return;
	}
	end(t, c, c->reason, c->detail);
}

void dsaa_transport_tick(struct dsaa_transport *t, struct dsaa_mono now)
{
	assert(!t->busy);
	t->busy = true;
	t->now = now;
	listeners_try(t);
	for (struct dsaa_conn *c = t->conns; c; c = c->next)
		if (dsaa_mono_reached(now, c->deadline))
			deadline(t, c);
	kicked(t);
	reap(t);
	t->busy = false;
}

void dsaa_transport_ready(struct dsaa_transport *t, struct dsaa_mono now)
{
	struct epoll_event events[EVENTS_PER_READY];
	int n;

	assert(!t->busy);
	t->busy = true;
	t->now = now;
	listeners_try(t);
	n = epoll_wait(t->epoll_fd, events, EVENTS_PER_READY, 0);
	for (int i = 0; i < n; i++) {
		enum dsaa_source *source = events[i].data.ptr;

		switch (*source) {
		case DSAA_SOURCE_WAKE:
			wake_clear(t);
			break;
		case DSAA_SOURCE_LISTENER:
			event_listener(t, (struct listener *)source);
			break;
		case DSAA_SOURCE_CONN:
			event_conn(t, (struct dsaa_conn *)source, events[i].events);
			break;
		}
	}
	kicked(t);
	reap(t);
	t->busy = false;
}

/* ------------------------------------------------------------------ the caller's verbs */

static struct peer *peer_of(const struct dsaa_transport *t, dsaa_site_id site)
{
	if (site == 0 || site > DSAA_SITES_MAX || !t->peer[site].configured)
		return NULL;
	return (struct peer *)&t->peer[site];
}

static struct dsaa_conn *up_of(const struct dsaa_transport *t, dsaa_site_id site)
{
	struct peer *p = peer_of(t, site);

	return p ? p->up : NULL;
}

/* Our address of link INDEX, else the first of FAMILY; NULL when there is none. */
static const struct dsaa_addr *local_for(const struct dsaa_transport *t, unsigned index,
					 uint8_t family)
{
	if (index < t->listeners && t->listener[index].addr.family == family)
		return &t->listener[index].addr;
	for (unsigned i = 0; i < t->listeners; i++)
		if (t->listener[i].addr.family == family)
			return &t->listener[i].addr;
	return NULL;
}

bool dsaa_transport_connect(struct dsaa_transport *t, dsaa_site_id site, unsigned address)
{
	struct peer *p = peer_of(t, site);
	const struct dsaa_addr *remote, *local;
	struct dsaa_conn *c;
	int fd = -1, error = 0;

	if (!p || address >= p->addresses || p->up || p->attempt)
		return false;
	remote = &p->address[address];
	local = local_for(t, address, remote->family);
	if (local) {
		fd = dsaa_socket_connect(local, remote, t->port, t->multipath, t->user_timeout_ms);
		error = fd < 0 ? errno : 0;
	}
	c = dsaa_conn_create(t->epoll_fd, fd, site, false, t->secure);
	if (!c)
		return false;
	c->remote = *remote;
	if (local)
		c->local = *local;
	c->deadline = dsaa_mono_add_ms(t->now, DSAA_TRANSPORT_CONNECT_MS);
	c->next = t->conns;
	t->conns = c;
	p->attempt = c;
	t->counters.attempts++;
	if (fd < 0) {
		/* Told from ready, as any other failure. */
		dsaa_conn_fail(c, DSAA_R_CONNECT_FAILED,
			       local ? strerror(error) : "no sync-address of ours has that family");
		kick(t, c);
	}
	dsaa_conn_watch(c);
	return true;
}

void dsaa_transport_drop(struct dsaa_transport *t, dsaa_site_id site)
{
	struct peer *p = peer_of(t, site);
	struct dsaa_conn *c;

	if (!p)
		return;
	c = p->up ? p->up : p->attempt;
	if (!c)
		return;
	detach(t, c);
	close_gently(t, c);
}

size_t dsaa_transport_room(const struct dsaa_transport *t, dsaa_site_id site)
{
	const struct dsaa_conn *c = up_of(t, site);

	return c ? dsaa_conn_room(c) : 0;
}

bool dsaa_transport_send(struct dsaa_transport *t, dsaa_site_id site, const uint8_t *buf,
			 size_t len)
{
	struct dsaa_conn *c = up_of(t, site);

	if (!c || len > dsaa_conn_room(c))
		return false;
	if (len == 0)
		return true;
	dsaa_conn_queue(c, buf, len);
	(void)dsaa_conn_flush(c);
	if (c->failed)
		kick(t, c);
	dsaa_conn_watch(c);
	return true;
}

bool dsaa_transport_peek(const struct dsaa_transport *t, dsaa_site_id site, const uint8_t **buf,
			 size_t *len)
{
	const struct dsaa_conn *c = up_of(t, site);

	if (!c || c->recv_start == c->recv_end)
		return false;
	*buf = c->recv_buf + c->recv_start;
	*len = c->recv_end - c->recv_start;
	return true;
}

void dsaa_transport_consume(struct dsaa_transport *t, dsaa_site_id site, size_t n)
{
	struct dsaa_conn *c = up_of(t, site);

	if (!c || !dsaa_conn_consume(c, n))
		return;
	wake(t);
	dsaa_conn_watch(c);
}

int dsaa_transport_fd(const struct dsaa_transport *t)
{
	return t->epoll_fd;
}

const struct dsaa_transport_counters *dsaa_transport_counters(const struct dsaa_transport *t)
{
	return &t->counters;
}

bool dsaa_transport_info(const struct dsaa_transport *t, dsaa_site_id site,
			 struct dsaa_transport_info *info)
{
	const struct dsaa_conn *c = up_of(t, site);

	memset(info, 0, sizeof(*info));
	if (!peer_of(t, site))
		return false;
	if (!c)
		return true;
	info->connected = true;
	info->secure = c->secure;
	info->multipath = dsaa_socket_is_multipath(c->fd);
	info->user_timeout = dsaa_socket_has_user_timeout(c->fd);
	info->inbound = c->inbound;
	if (c->tls)
		snprintf(info->cipher, sizeof(info->cipher), "%s", dsaa_tls_cipher(c->tls));
	info->local = c->local;
	info->remote = c->remote;
	info->links = (uint8_t)dsaa_socket_links(c->fd, info->link, DSAA_TRANSPORT_LINKS_MAX);
	info->bytes_sent = c->bytes_sent;
	info->bytes_received = c->bytes_received;
	info->send_queued = c->send_len;
	info->receive_queued = c->recv_end - c->recv_start;
	return true;
}

/* ------------------------------------------------------------------ open and close */

static bool addresses_ok(const struct dsaa_addr *a, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		if (a[i].family != 4 && a[i].family != 6)
			return false;
	return true;
}

/* Copies peer C into T. Returns what is wrong with it, or NULL. */
static const char *add_peer(struct dsaa_transport *t, const struct dsaa_transport_peer *c)
{
	struct peer *p;

	if (c->site == 0 || c->site > DSAA_SITES_MAX || c->site == t->local)
		return "a peer has a site number that cannot be";
	p = &t->peer[c->site];
	if (p->configured)
		return "a site is configured twice";
	if (c->addresses > DSAA_SITE_SYNC_ADDRESSES_MAX || !addresses_ok(c->address, c->addresses))
		return "a peer has a wrong list of sync-addresses";
	for (unsigned i = 0; i < c->addresses; i++) {
		if (site_of(t, &c->address[i]))
			return "a sync-address belongs to two sites";
		for (unsigned j = 0; j < t->listeners; j++)
			if (dsaa_addr_equal(&c->address[i], &t->listener[j].addr))
				return "a peer has a sync-address of this site";
	}
	p->configured = true;
	p->addresses = c->addresses;
	memcpy(p->address, c->address, sizeof(p->address));
	return NULL;
}

/* Copies CONFIG into T. Returns what is wrong with it, or NULL. */
static const char *take_config(struct dsaa_transport *t, const struct dsaa_transport_config *c)
{
	const char *wrong;

	if (c->local == 0 || c->local > DSAA_SITES_MAX)
		return "the number of this site cannot be";
	if (c->port == 0)
		return "port 0 cannot be listened on";
	if (c->secure && (!c->key || c->key_len < DSAA_KEY_LEN_MIN))
		return "the key is missing or too short";
	if (c->local_addresses > DSAA_SITE_SYNC_ADDRESSES_MAX ||
	    !addresses_ok(c->local_address, c->local_addresses))
		return "this site has a wrong list of sync-addresses";
	if (c->peers > DSAA_SITES_MAX)
		return "there are more peers than sites";
	t->local = c->local;
	t->port = c->port;
	t->secure = c->secure;
	t->multipath = c->multipath;
	t->user_timeout_ms = c->user_timeout_ms;
	t->listeners = c->local_addresses;
	for (unsigned i = 0; i < t->listeners; i++) {
		t->listener[i] = (struct listener){ .source = DSAA_SOURCE_LISTENER, .fd = -1 };
		t->listener[i].addr = c->local_address[i];
	}
	for (unsigned i = 0; i < c->peers; i++) {
		wrong = add_peer(t, &c->peer[i]);
		if (wrong)
			return wrong;
	}
	return NULL;
}

static bool open_descriptors(struct dsaa_transport *t)
{
	struct epoll_event ev = { .events = EPOLLIN, .data.ptr = &t->wake_source };

	t->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (t->epoll_fd < 0)
		return false;
	t->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	return t->wake_fd >= 0 && epoll_ctl(t->epoll_fd, EPOLL_CTL_ADD, t->wake_fd, &ev) == 0;
}

struct dsaa_transport *dsaa_transport_open(const struct dsaa_transport_config *config,
					   struct dsaa_mono now,
					   const struct dsaa_transport_callbacks *callbacks,
					   void *arg, char *err, size_t errlen)
{
	struct dsaa_transport *t = calloc(1, sizeof(*t));
	const char *wrong;

	if (!t) {
		snprintf(err, errlen, "no memory for the transport");
		return NULL;
	}
	t->wake_source = DSAA_SOURCE_WAKE;
	t->epoll_fd = t->wake_fd = -1;
	t->cb = *callbacks;
	t->arg = arg;
	t->now = now;
	wrong = take_config(t, config);
	if (wrong) {
		snprintf(err, errlen, "%s", wrong);
	} else if (!open_descriptors(t)) {
		snprintf(err, errlen, "no descriptors for the transport: %s", strerror(errno));
	} else if (!config->secure ||
		   (t->tls = dsaa_tls_open(config->cluster_id, config->local, config->key,
					   config->key_len, err, errlen))) {
		wake(t);
		return t;
	}
	dsaa_transport_close(t);
	return NULL;
}

void dsaa_transport_close(struct dsaa_transport *t)
{
	assert(!t->busy);
	for (unsigned i = 0; i < t->listeners; i++)
		if (t->listener[i].fd >= 0)
			close(t->listener[i].fd);
	while (t->conns) {
		struct dsaa_conn *c = t->conns;

		t->conns = c->next;
		/* One try to send what is queued and our end; the kernel does the rest. */
		if (c->state == DSAA_CONN_UP)
			dsaa_conn_close(c, t->now);
		dsaa_conn_destroy(c);
	}
	if (t->tls)
		dsaa_tls_close(t->tls);
	if (t->wake_fd >= 0)
		close(t->wake_fd);
	if (t->epoll_fd >= 0)
		close(t->epoll_fd);
	free(t);
}
