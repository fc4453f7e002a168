/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The queue threads' objects: their configuration ("plan"), their loop, their
 * counters. The first one holds the others, which are of the same kind and
 * serve one queue of each site.
 *
 * A plan is made whole by the thread that configures, and never changes
 * afterwards. It waits under the lock until the queue thread takes it over
 * between two batches and frees the one before. Tunnel sockets live on from
 * plan to plan as long as one of them needs them (counted, under the lock).
 */
#include "nfq/dsaa_nfq_private.h"

#include <errno.h>
#include <net/if.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum {
	MTU_DEFAULT = 1500,
	/* batches read from one socket before the others get their turn */
	BATCHES_PER_TURN = 4,
	FD_STOP = 0,
	FD_WAKE,
	FD_TUN,
	FD_LANES,
	FD_SOCKETS = FD_LANES + DSAA_LANES,
	FDS_MAX = FD_SOCKETS + DSAA_NFQ_SOCKETS_MAX,
};

/* ------------------------------------------------------------------ plans */

/* Counts one use less of each socket of the plan; closes those of no use. Under the lock. */
static void plan_free(struct dsaa_nfq_plan *plan)
{
	unsigned i;

	if (!plan)
		return;
	for (i = 0; i < plan->sockets; i++)
		if (--plan->socket[i]->refs == 0)
			dsaa_nfq_socket_close(plan->socket[i]);
	free(plan);
}

/* A usable socket for LOCAL in PLAN, of the kind that CONFIG wants, or NULL. */
static struct dsaa_nfq_socket *plan_socket(const struct dsaa_nfq_plan *plan,
					   const struct dsaa_addr *local,
					   const struct dsaa_nfq_config *config)
{
	unsigned i;

	for (i = 0; plan && i < plan->sockets; i++)
		if (plan->socket[i]->port == config->tunnel_port &&
		    plan->socket[i]->send_only == config->send_only &&
		    dsaa_addr_equal(&plan->socket[i]->local, local))
			return plan->socket[i];
	return NULL;
}

/* The socket of LOCAL: the plan's, or one of a former plan, or a new one. Under the lock. */
static struct dsaa_nfq_socket *get_socket(struct dsaa_nfq *nfq, struct dsaa_nfq_plan *plan,
					  const struct dsaa_addr *local)
{
	const struct dsaa_nfq_config *c = &plan->config;
	struct dsaa_nfq_socket *s = plan_socket(plan, local, c);

	if (s)
		return s;
	s = plan_socket(nfq->next, local, c);
	if (!s || s->fd < 0)
		s = plan_socket(nfq->plan, local, c);
	if (!s || s->fd < 0)
		s = dsaa_nfq_socket_open(local, c->tunnel_port, c->send_only);
	if (s) {
		s->refs++;
		plan->socket[plan->sockets++] = s;
	}
	return s;
}

static unsigned read_mtu(int fd, const char *name)
{
	struct ifreq ifr = { 0 };

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	return fd >= 0 && ioctl(fd, SIOCGIFMTU, &ifr) == 0 ? (unsigned)ifr.ifr_mtu : MTU_DEFAULT;
}

static void plan_mtus(struct dsaa_nfq_plan *plan)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	unsigned i;

	for (i = 0; i < plan->config.ifaces; i++)
		plan->mtu[i] = read_mtu(fd, plan->config.iface[i].name);
	if (fd >= 0)
		close(fd);
}

/* Why the configuration cannot be used, or NULL. */
static const char *config_wrong(const struct dsaa_nfq_config *c)
{
	unsigned i, j;

	if (c->local_site == 0 || c->local_site > DSAA_SITES_MAX)
		return "the local site has no number";
	if (c->tunnel_port == 0)
		return "the tunnel has no port";
	if (c->peers > DSAA_SITES_MAX || c->ifaces > DSAA_IFACES_MAX ||
	    c->prefixes > DSAA_COUNTED_PREFIXES_MAX)
		return "more sites, interfaces or prefixes than the limits allow";
	for (i = 0; i < c->peers; i++) {
		const struct dsaa_nfq_peer *p = &c->peer[i];

		if (p->site == 0 || p->site > DSAA_SITES_MAX || p->site == c->local_site ||
		    p->links > DSAA_SITE_SYNC_ADDRESSES_MAX)
			return "a peer's number or links are out of range";
		for (j = 0; j < p->links; j++)
			if ((p->link[j].local.family != 4 && p->link[j].local.family != 6) ||
			    p->link[j].local.family != p->link[j].remote.family)
				return "the two ends of a link are not of one family";
	}
	return NULL;
}

/* Joins peers and links to sockets. Under the lock. */
static bool plan_links(struct dsaa_nfq *nfq, struct dsaa_nfq_plan *plan)
{
	unsigned i, j;

	for (i = 0; i < plan->config.peers; i++) {
		const struct dsaa_nfq_peer *p = &plan->config.peer[i];

		plan->peer_of[p->site] = p;
		for (j = 0; j < p->links; j++) {
			dsaa_nfq_sockaddr(&plan->remote[i][j], &p->link[j].remote,
					  plan->config.tunnel_port);
			plan->of_link[i][j] = get_socket(nfq, plan, &p->link[j].local);
			if (!plan->of_link[i][j])
				return false;
		}
	}
	return true;
}

/* What an operator is told; under the lock. */
static void plan_status(struct dsaa_nfq *nfq, const struct dsaa_nfq_plan *plan)
{
	struct dsaa_nfq_status *st = &nfq->status;
	unsigned i;

	memset(st, 0, sizeof(*st));
	st->tun_ifindex = nfq->tun.ifindex;
	st->links = plan->sockets;
	snprintf(st->why, sizeof(st->why), "%s", nfq->tun.why[0] ? nfq->tun.why : nfq->steer.why);
	for (i = 0; i < plan->sockets; i++) {
		if (plan->socket[i]->fd >= 0)
			st->links_ready++;
		else if (!st->why[0])
			snprintf(st->why, sizeof(st->why), "UDP port %u cannot be opened: %s",
				 plan->config.tunnel_port, strerror(plan->socket[i]->error));
	}
}

/* NFQ: one of several objects, which share nothing but what is sent by others. */
static struct dsaa_nfq_plan *plan_make(const struct dsaa_nfq *nfq,
				       const struct dsaa_nfq_config *config, char *err,
				       size_t errlen)
{
	const char *wrong = config_wrong(config);
	struct dsaa_nfq_plan *plan;

	if (wrong) {
		snprintf(err, errlen, "%s", wrong);
		return NULL;
	}
	plan = calloc(1, sizeof(*plan));
	if (!plan) {
		snprintf(err, errlen, "no memory");
		return NULL;
	}
	plan->config = *config;
	/* what peers send is read by the first thread */
	plan->config.send_only |= nfq->is_further;
	if (config->addresses)
		plan->addresses = *config->addresses;
	plan->config.addresses = &plan->addresses;
	plan_mtus(plan);
	return plan;
}

/* ------------------------------------------------------------------ life */

/* Object THREAD of the NFQ that is the first of them, or that first one itself. */
static struct dsaa_nfq *object_of(struct dsaa_nfq *nfq, unsigned thread)
{
	return thread ? nfq->further[thread - 1] : nfq;
}

static struct dsaa_nfq *object_new(const struct dsaa_nfq_config *config)
{
	struct dsaa_nfq *nfq = calloc(1, sizeof(*nfq));
	unsigned i;

	if (!nfq)
		return NULL;
	pthread_mutex_init(&nfq->lock, NULL);
	nfq->tun.fd = -1;
	nfq->wake_fd = -1;
	for (i = 0; i < DSAA_LANES; i++)
		nfq->queues.fd[i] = -1;
	nfq->words = config->words;
	nfq->find = config->find;
	nfq->find_arg = config->find_arg;
	nfq->elsewhere = config->elsewhere;
	nfq->tell = config->tell;
	return nfq;
}

static bool reconfigure_one(struct dsaa_nfq *nfq, const struct dsaa_nfq_config *config, char *err,
			    size_t errlen);

static bool open_parts(struct dsaa_nfq *nfq, const struct dsaa_nfq_config *config, unsigned thread,
		       char *err, size_t errlen)
{
	nfq->room = aligned_alloc(_Alignof(struct dsaa_nfq_room), sizeof(*nfq->room));
	nfq->cut_room = aligned_alloc(_Alignof(struct dsaa_nfq_room), sizeof(*nfq->cut_room));
	nfq->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	nfq->hold = calloc(1, sizeof(*nfq->hold));
	if (!nfq->room || !nfq->cut_room || !nfq->hold || nfq->wake_fd < 0) {
		snprintf(err, errlen, "no memory");
		return false;
	}
	/* the TAP device first: a packet is never read before it can be told from a peer's */
	if (!nfq->is_further &&
	    !dsaa_nfq_tun_open(&nfq->tun, config->tun_name, config->tun_device_fd, err, errlen))
		return false;
	if (!reconfigure_one(nfq, config, err, errlen))
		return false;
	return dsaa_nfq_queues_open(&nfq->queues, config->queue_base, thread, err, errlen);
}

static bool open_further(struct dsaa_nfq *nfq, const struct dsaa_nfq_config *config, char *err,
			 size_t errlen)
{
	struct dsaa_nfq *further;

	while (nfq->furthers + 1 < config->queues) {
		further = object_new(config);
		if (!further) {
			snprintf(err, errlen, "no memory");
			return false;
		}
		further->is_further = true;
		further->tun.ifindex = nfq->tun.ifindex;
		nfq->further[nfq->furthers++] = further;
		if (!open_parts(further, config, nfq->furthers, err, errlen))
			return false;
	}
	return true;
}

struct dsaa_nfq *dsaa_nfq_open(const struct dsaa_nfq_config *config, char *err, size_t errlen)
{
	struct dsaa_nfq *nfq = object_new(config);

	if (!nfq) {
		snprintf(err, errlen, "no memory");
		return NULL;
	}
	if (!nfq->words || memchr(config->tun_name, '\0', sizeof(config->tun_name)) == NULL ||
	    config->queue_base > UINT16_MAX - DSAA_QUEUES || config->queues == 0 ||
	    config->queues > DSAA_QUEUE_SPREAD_MAX) {
		snprintf(err, errlen, "the queue threads' configuration is incomplete");
		dsaa_nfq_close(nfq);
		return NULL;
	}
	if (!open_parts(nfq, config, 0, err, errlen) || !open_further(nfq, config, err, errlen)) {
		dsaa_nfq_close(nfq);
		return NULL;
	}
	return nfq;
}

void dsaa_nfq_close(struct dsaa_nfq *nfq)
{
	if (!nfq)
		return;
	while (nfq->furthers)
		dsaa_nfq_close(nfq->further[--nfq->furthers]);
	dsaa_nfq_queues_close(&nfq->queues);
	if (!nfq->is_further)
		dsaa_nfq_tun_close(&nfq->tun);
	plan_free(nfq->next);
	plan_free(nfq->plan);
	if (nfq->wake_fd >= 0)
		close(nfq->wake_fd);
	if (nfq->hold)
		dsaa_nfq_hold_clear(nfq);
	free(nfq->hold);
	free(nfq->room);
	free(nfq->cut_room);
	pthread_mutex_destroy(&nfq->lock);
	free(nfq);
}

static bool reconfigure_one(struct dsaa_nfq *nfq, const struct dsaa_nfq_config *config, char *err,
			    size_t errlen)
{
	struct dsaa_nfq_plan *plan = plan_make(nfq, config, err, errlen);
	uint64_t one = 1;

	if (!plan)
		return false;
	if (!nfq->is_further)
		dsaa_nfq_steer_apply(&nfq->steer, nfq->tun.ifindex, config);
	pthread_mutex_lock(&nfq->lock);
	if (!plan_links(nfq, plan)) {
		plan_free(plan);
		pthread_mutex_unlock(&nfq->lock);
		snprintf(err, errlen, "no memory");
		return false;
	}
	dsaa_nfq_prefix_plan(nfq, plan);
	plan_free(nfq->next); /* one that the thread never saw */
	nfq->next = plan;
	plan_status(nfq, plan);
	pthread_mutex_unlock(&nfq->lock);
	/* can only fail when it is set already */
	if (write(nfq->wake_fd, &one, sizeof(one)) < 0 && errno != EAGAIN)
		snprintf(err, errlen, "the queue thread cannot be woken: %s", strerror(errno));
	return true;
}

bool dsaa_nfq_reconfigure(struct dsaa_nfq *nfq, const struct dsaa_nfq_config *config, char *err,
			  size_t errlen)
{
	unsigned i;

	for (i = 0; i <= nfq->furthers; i++)
		if (!reconfigure_one(object_of(nfq, i), config, err, errlen))
			return false;
	return true;
}

/* Takes over a plan that waits. */
static void take_plan(struct dsaa_nfq *nfq)
{
	uint64_t count;
	unsigned i;

	if (read(nfq->wake_fd, &count, sizeof(count)) < 0 && nfq->plan)
		return;
	pthread_mutex_lock(&nfq->lock);
	if (nfq->next) {
		plan_free(nfq->plan);
		nfq->plan = nfq->next;
		nfq->next = NULL;
		/* an MTU may be another one now */
		for (i = 0; i < nfq->plan->sockets; i++)
			nfq->plan->socket[i]->train_max = SIZE_MAX;
	}
	pthread_mutex_unlock(&nfq->lock);
}

/* ------------------------------------------------------------------ loop */

/* Reads up to one batch: how many packets, or a negative errno. */
static int read_lane(struct dsaa_nfq *nfq, enum dsaa_nfq_lane lane, struct dsaa_nfq_room *room,
		     struct dsaa_nfq_packet *packets)
{
	uint64_t lost = 0;
	int n = dsaa_nfq_queues_read(&nfq->queues, lane, room, packets, &lost);

	if (lost)
		dsaa_nfq_add(&nfq->tally.reason[DSAA_R_QUEUE_OVERLOAD], lost);
	return n;
}

/* What the kernel has cut; none of it is to be cut again. How many, or a negative errno. */
static int serve_cut(struct dsaa_nfq *nfq)
{
	int n = read_lane(nfq, DSAA_LANE_CUT, nfq->cut_room, nfq->cut_packets), i;

	if (n <= 0)
		return n;
	for (i = 0; i < n; i++)
		dsaa_nfq_cut_learn(nfq, &nfq->cut_packets[i]);
	dsaa_nfq_judge(nfq, nfq->cut_packets, n);
	dsaa_nfq_queues_verdict(&nfq->queues, DSAA_LANE_CUT, nfq->cut_packets, n, false);
	return n;
}

/*
 * Has the kernel cut P. The segments are there when the message is sent, and are judged before
 * what follows P: a connection's packets keep their order. When none comes the kernel could not
 * cut it, or has no memory, and says nothing.
 */
static void cut(struct dsaa_nfq *nfq, const struct dsaa_nfq_packet *p)
{
	int n, all = 0;

	if (dsaa_nfq_queues_cut(&nfq->queues, p))
		/* an error of that socket is met again in the loop */
		while ((n = serve_cut(nfq)) > 0)
			all += n;
	if (all == 0)
		dsaa_nfq_add(&nfq->tally.reason[DSAA_R_QUEUE_OVERLOAD], 1);
}

/* One batch of any other lane: how many, or a negative errno. */
static int serve_batch(struct dsaa_nfq *nfq, enum dsaa_nfq_lane lane)
{
	struct dsaa_nfq_packet *p = nfq->packets;
	int n = read_lane(nfq, lane, nfq->room, p), done = 0, judged;

	while (done < n) {
		judged = (int)dsaa_nfq_judge(nfq, p + done, n - done);
		dsaa_nfq_queues_verdict(&nfq->queues, lane, p + done, judged,
					lane == DSAA_LANE_OFFER && nfq->hold->count);
		done += judged;
		if (done < n)
			cut(nfq, &p[done++]);
	}
	return n;
}

static int serve_lane(struct dsaa_nfq *nfq, enum dsaa_nfq_lane lane)
{
	unsigned batch;
	int n;

	for (batch = 0; batch < BATCHES_PER_TURN; batch++) {
		n = lane == DSAA_LANE_CUT ? serve_cut(nfq) : serve_batch(nfq, lane);
		if (n < 0)
			return n;
		/* the least that a full batch can be */
		if (n < DSAA_NFQ_LARGE_BATCH)
			break;
	}
	return 0;
}

/* An error of one tunnel socket is not the end: a link may be gone. */
static void serve_socket(struct dsaa_nfq *nfq, struct dsaa_nfq_socket *s)
{
	unsigned batch;
	int n;

	for (batch = 0; batch < BATCHES_PER_TURN; batch++) {
		n = dsaa_nfq_socket_read(s, nfq->room, nfq->datagrams);
		if (n <= 0)
			return;
		dsaa_nfq_receive(nfq, s, n);
		if (n < DSAA_NFQ_IN)
			return;
	}
}

static unsigned fill_fds(const struct dsaa_nfq *nfq, int stop_fd, struct pollfd *fds)
{
	unsigned i;

	fds[FD_STOP] = (struct pollfd){ stop_fd, POLLIN, 0 };
	fds[FD_WAKE] = (struct pollfd){ nfq->wake_fd, POLLIN, 0 };
	/* without the fast path there is nothing to read but the stack's own chatter */
	fds[FD_TUN] = (struct pollfd){ nfq->plan->config.send_only ? nfq->tun.fd : -1, POLLIN, 0 };
	for (i = 0; i < DSAA_LANES; i++)
		fds[FD_LANES + i] = (struct pollfd){ nfq->queues.fd[i], POLLIN, 0 };
	/* a socket that could not be opened is -1, which poll leaves out */
	for (i = 0; i < nfq->plan->sockets; i++)
		fds[FD_SOCKETS + i] = (struct pollfd){ nfq->plan->socket[i]->fd, POLLIN, 0 };
	return FD_SOCKETS + nfq->plan->sockets;
}

int dsaa_nfq_turn(struct dsaa_nfq *nfq, int stop_fd, int timeout_ms)
{
	struct pollfd fds[FDS_MAX];
	unsigned count, i;
	int rc;

	take_plan(nfq);
	count = fill_fds(nfq, stop_fd, fds);
	rc = poll(fds, count, dsaa_nfq_hold_timeout(nfq, timeout_ms));
	if (rc < 0)
		return errno == EINTR ? 1 : -errno;
	if (fds[FD_STOP].revents)
		return 0;
	take_plan(nfq);
	dsaa_nfq_hold_serve(nfq);
	for (i = 0; i < DSAA_LANES; i++) {
		if (!fds[FD_LANES + i].revents)
			continue;
		rc = serve_lane(nfq, i);
		if (rc < 0)
			return rc;
	}
	if (fds[FD_TUN].revents & POLLIN)
		dsaa_nfq_tun_serve(&nfq->tun, nfq->room->large[0]);
	/* the plan may be another one than poll was asked with: an idle socket may be read */
	for (i = 0; i < nfq->plan->sockets; i++)
		if (nfq->plan->socket[i]->fd >= 0 && FD_SOCKETS + i < count &&
		    fds[FD_SOCKETS + i].revents)
			serve_socket(nfq, nfq->plan->socket[i]);
	return 1;
}

int dsaa_nfq_run(struct dsaa_nfq *nfq, unsigned thread, int stop_fd)
{
	struct dsaa_nfq *mine = object_of(nfq, thread);
	int rc;

	do
		rc = dsaa_nfq_turn(mine, stop_fd, -1);
	while (rc > 0);
	return rc;
}

/* ------------------------------------------------------------------ views */

static uint64_t value(_Atomic uint64_t *counter)
{
	return atomic_load_explicit(counter, memory_order_relaxed);
}

/* Adds what one thread has counted. */
static void add_tally(struct dsaa_nfq_tally *t, struct dsaa_nfq_counters *out)
{
	unsigned i;

	for (i = 0; i < DSAA_REASONS_MAX; i++)
		out->reason[i] += value(&t->reason[i]);
	out->taken_back += value(&t->taken_back);
	out->waiting += value(&t->waiting);
	out->hold_full += value(&t->hold_full);
	for (i = 0; i <= DSAA_SITES_MAX; i++) {
		out->peer[i].packets_sent += value(&t->peer[i].packets_sent);
		out->peer[i].bytes_sent += value(&t->peer[i].bytes_sent);
		out->peer[i].packets_received += value(&t->peer[i].packets_received);
		out->peer[i].bytes_received += value(&t->peer[i].bytes_received);
	}
}

void dsaa_nfq_counters(struct dsaa_nfq *nfq, struct dsaa_nfq_counters *out)
{
	uint64_t *delivered = &out->reason[DSAA_R_RX_DELIVERED], back;
	unsigned i;

	memset(out, 0, sizeof(*out));
	for (i = 0; i <= nfq->furthers; i++)
		add_tally(&object_of(nfq, i)->tally, out);
	back = out->taken_back;
	out->taken_back = back > *delivered ? back - *delivered : 0;
	*delivered = *delivered > back ? *delivered - back : 0;
}

static void clear(_Atomic uint64_t *counter)
{
	atomic_store_explicit(counter, 0, memory_order_relaxed);
}

void dsaa_nfq_counters_clear(struct dsaa_nfq *nfq)
{
	struct dsaa_nfq_tally *t = &nfq->tally;
	unsigned i;

	for (i = 0; i < nfq->furthers; i++)
		dsaa_nfq_counters_clear(nfq->further[i]);
	for (i = 0; i < DSAA_REASONS_MAX; i++)
		clear(&t->reason[i]);
	clear(&t->taken_back);
	clear(&t->hold_full);
	dsaa_nfq_prefix_clear(nfq);
	for (i = 0; i <= DSAA_SITES_MAX; i++) {
		clear(&t->peer[i].packets_sent);
		clear(&t->peer[i].bytes_sent);
		clear(&t->peer[i].packets_received);
		clear(&t->peer[i].bytes_received);
	}
}

void dsaa_nfq_status(struct dsaa_nfq *nfq, struct dsaa_nfq_status *status)
{
	pthread_mutex_lock(&nfq->lock);
	*status = nfq->status;
	pthread_mutex_unlock(&nfq->lock);
	if (if_nametoindex(nfq->tun.name) != nfq->tun.ifindex)
		snprintf(status->why, sizeof(status->why), "somebody removed the TAP device %s",
			 nfq->tun.name);
}
