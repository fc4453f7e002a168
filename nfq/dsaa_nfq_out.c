/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the queue to the peers: what is to be done with a queued packet, and
 * the sending. The judgement itself is dsaa_owner_verdict() of core; here are
 * the facts and the deeds.
 */
#include "nfq/dsaa_nfq_private.h"

#include <errno.h>
#include <net/if.h>
#include <string.h>

/* ------------------------------------------------------------------ sending */

static struct dsaa_nfq_socket *socket_of(const struct dsaa_nfq_plan *plan,
					 const struct dsaa_nfq_peer *peer, unsigned link)
{
	return plan->of_link[peer - plan->config.peer][link];
}

static void count_sent(struct dsaa_nfq *nfq, struct dsaa_nfq_packet *p, dsaa_site_id site)
{
	p->sent++;
	dsaa_nfq_add(&nfq->tally.peer[site].packets_sent, 1);
	dsaa_nfq_add(&nfq->tally.peer[site].bytes_sent, p->len);
}

/* The kernel refused datagram I of S: tries the peer's further links, one by one. */
static void send_elsewhere(struct dsaa_nfq *nfq, struct dsaa_nfq_socket *s, unsigned i)
{
	const struct dsaa_nfq_peer *peer = s->what[i].peer;
	unsigned link;

	for (link = s->what[i].link + 1; link < peer->links; link++) {
		struct dsaa_nfq_socket *other = socket_of(nfq->plan, peer, link);
		struct msghdr msg = s->msg[i].msg_hdr;
		struct sockaddr_storage to;

		if (!other || other->fd < 0)
			continue;
		msg.msg_name = &to;
		msg.msg_namelen = dsaa_nfq_sockaddr(&to, &peer->link[link].remote, other->port);
		if (sendmsg(other->fd, &msg, MSG_DONTWAIT) >= 0) {
			count_sent(nfq, s->what[i].packet, peer->site);
			return;
		}
	}
}

/* Sends what waits in S. A full socket buffer (EAGAIN) loses the packet, as any full link does. */
static void flush_socket(struct dsaa_nfq *nfq, struct dsaa_nfq_socket *s)
{
	unsigned done = 0;
	int n, i;

	while (done < s->waiting) {
		n = sendmmsg(s->fd, &s->msg[done], s->waiting - done, MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		for (i = 0; i < n; i++, done++)
			count_sent(nfq, s->what[done].packet, s->what[done].peer->site);
		if (n < 0)
			send_elsewhere(nfq, s, done++);
	}
	s->waiting = 0;
}

static void flush(struct dsaa_nfq *nfq)
{
	unsigned i;

	for (i = 0; i < nfq->plan->sockets; i++)
		if (nfq->plan->socket[i]->waiting)
			flush_socket(nfq, nfq->plan->socket[i]);
}

/* Puts a copy of P for PEER into the socket of its first usable link. */
static void send_to_peer(struct dsaa_nfq *nfq, struct dsaa_nfq_packet *p,
			 const struct dsaa_nfq_peer *peer, const struct dsaa_encap *encap)
{
	struct dsaa_nfq_socket *s = NULL;
	struct dsaa_encap e = *encap;
	unsigned link, at;

	p->copies++;
	for (link = 0; link < peer->links; link++) {
		s = socket_of(nfq->plan, peer, link);
		if (s && s->fd >= 0)
			break;
	}
	if (link == peer->links)
		return;
	if (s->waiting == DSAA_NFQ_OUT)
		flush_socket(nfq, s);
	at = s->waiting++;
	e.to = peer->site;
	dsaa_encap_encode(s->header[at], &e);
	s->iov[at][1] = (struct iovec){ (void *)p->data, p->len };
	s->what[at].packet = p;
	s->what[at].peer = peer;
	s->what[at].link = link;
	/* the address lives in the plan, which stays until the batch is sent */
	s->msg[at].msg_hdr.msg_name =
		(void *)&nfq->plan->remote[peer - nfq->plan->config.peer][link];
	s->msg[at].msg_hdr.msg_namelen = peer->link[link].remote.family == 4
						 ? sizeof(struct sockaddr_in)
						 : sizeof(struct sockaddr_in6);
}

/* ------------------------------------------------------------------ facts */

/* The IP header: family, destination, and the length that it says; false when it cannot be. */
static bool read_header(struct dsaa_nfq_packet *p, uint8_t *family, uint8_t dst[16])
{
	uint32_t total;

	if (p->len < 20)
		return false;
	*family = p->data[0] >> 4;
	memset(dst, 0, 16);
	if (*family == 4)
		memcpy(dst, p->data + 16, 4);
	else if (*family == 6 && p->len >= 40)
		memcpy(dst, p->data + 24, 16);
	else
		return false;
	total = dsaa_nfq_ip_length(p->data);
	if (total < 20 || total > p->len)
		return false;
	p->len = total;
	return true;
}

/* The number of the logical interface that the packet came in by, 0 when it has none. */
static uint16_t logical_iface(const struct dsaa_nfq_plan *plan, unsigned ifindex)
{
	char name[IF_NAMESIZE];
	unsigned i;

	for (i = 0; i < plan->config.ifaces; i++)
		if (plan->config.iface[i].ifindex == ifindex)
			return i + 1;
	/* made anew since the configuration: the name tells */
	if (!if_indextoname(ifindex, name))
		return 0;
	for (i = 0; i < plan->config.ifaces; i++)
		if (strcmp(plan->config.iface[i].name, name) == 0)
			return i + 1;
	return 0;
}

static bool any_peer_alive(const struct dsaa_nfq *nfq)
{
	unsigned i;

	for (i = 0; i < nfq->plan->config.peers; i++)
		if (dsaa_nfq_word(nfq, nfq->plan->config.peer[i].site) == DSAA_WORD_ALIVE)
			return true;
	return false;
}

/* By the TUN device, or by the fast path to the interface where it came in first. */
static bool is_from_peer(const struct dsaa_nfq *nfq, const struct dsaa_nfq_packet *p)
{
	return p->indev == nfq->tun.ifindex || p->queue == DSAA_QUEUE_PEER;
}

static void has_entry(const struct dsaa_nfq *nfq, struct dsaa_packet_facts *f, unsigned owner)
{
	f->class = DSAA_PKT_HAS_ENTRY;
	f->owner = owner == nfq->plan->config.local_site || owner > DSAA_SITES_MAX ? 0 : owner;
	f->word = dsaa_nfq_word(nfq, f->owner);
}

/*
 * INVALID is also what conntrack says of a packet whose entry is here but
 * whose window does not fit, as may be with a replica: look before asking
 * the peers. An error of the look-up leaves it at "no entry". The queue of
 * packets from peers holds those of foreign connections, too.
 */
static void look_for_entry(struct dsaa_nfq *nfq, const struct dsaa_nfq_packet *p,
			   struct dsaa_packet_facts *f)
{
	struct dsaa_packet parsed;
	unsigned owner = 0;

	if (!nfq->find || (!f->from_peer && (!f->any_peer_alive || f->to_router)))
		return;
	if (dsaa_packet_parse(p->data, p->len, &parsed) == DSAA_R_NONE &&
	    nfq->find(nfq->find_arg, &parsed, &owner) == 1)
		has_entry(nfq, f, owner);
}

static void gather_facts(struct dsaa_nfq *nfq, const struct dsaa_nfq_packet *p, uint8_t family,
			 const uint8_t dst[16], struct dsaa_packet_facts *f)
{
	memset(f, 0, sizeof(*f));
	f->any_peer_alive = any_peer_alive(nfq);
	f->from_peer = is_from_peer(nfq, p);
	f->to_router = dsaa_addr_is_special(family, dst) ||
		       dsaa_addrset_has(&nfq->plan->addresses, family, dst);
	if (p->queue <= DSAA_SITES_MAX) {
		has_entry(nfq, f, p->queue);
		return;
	}
	f->class = DSAA_PKT_INVALID;
	if (p->queue == DSAA_QUEUE_MIDSTREAM)
		f->class = DSAA_PKT_MIDSTREAM;
	else if (p->queue == DSAA_QUEUE_POOL)
		f->class = DSAA_PKT_NEW_TO_POOL;
	else
		look_for_entry(nfq, p, f);
}

/* ------------------------------------------------------------------ deeds */

static void offer(struct dsaa_nfq *nfq, struct dsaa_nfq_packet *p, const struct dsaa_encap *e)
{
	const struct dsaa_nfq_config *c = &nfq->plan->config;
	unsigned i;

	for (i = 0; i < c->peers; i++)
		if (dsaa_nfq_word(nfq, c->peer[i].site) == DSAA_WORD_ALIVE)
			send_to_peer(nfq, p, &c->peer[i], e);
}

static void carry(struct dsaa_nfq *nfq, struct dsaa_nfq_packet *p, uint8_t family,
		  enum dsaa_verdict verdict, unsigned owner)
{
	struct dsaa_encap e = {
		.iface = logical_iface(nfq->plan, p->indev),
		.second_chance = verdict == DSAA_VERDICT_OFFER,
		.from = nfq->plan->config.local_site,
		.family = family,
	};

	if (e.iface == 0) {
		p->reason = DSAA_R_RX_UNKNOWN_INTERFACE;
		return;
	}
	if (verdict == DSAA_VERDICT_OFFER)
		offer(nfq, p, &e);
	else if (nfq->plan->peer_of[owner])
		send_to_peer(nfq, p, nfq->plan->peer_of[owner], &e);
	else
		p->reason = DSAA_R_SEND_FAILED;
}

static void judge(struct dsaa_nfq *nfq, struct dsaa_nfq_packet *p)
{
	struct dsaa_packet_facts facts;
	enum dsaa_verdict verdict;
	uint8_t family, dst[16];

	if (!p->data || !read_header(p, &family, dst)) {
		p->reason = DSAA_R_UNREADABLE;
		return;
	}
	gather_facts(nfq, p, family, dst, &facts);
	verdict = dsaa_owner_verdict(&facts, &p->reason);
	switch (verdict) {
	case DSAA_VERDICT_LOCAL:
	case DSAA_VERDICT_NEW:
		p->accept = true;
		break;
	case DSAA_VERDICT_CORRECT:
	case DSAA_VERDICT_OFFER:
		carry(nfq, p, family, verdict, facts.owner);
		break;
	case DSAA_VERDICT_HOLD:
	case DSAA_VERDICT_DROP:
		break;
	}
}

/*
 * A packet from a peer was counted as delivered when it was written to the TUN
 * device; here it only counts if it is refused after all.
 */
static void count(struct dsaa_nfq *nfq, const struct dsaa_nfq_packet *p)
{
	if (is_from_peer(nfq, p) && p->accept)
		return;
	if (p->indev == nfq->tun.ifindex)
		dsaa_nfq_add(&nfq->tally.taken_back, 1);
	dsaa_nfq_add(&nfq->tally.reason[p->reason], 1);
}

void dsaa_nfq_judge(struct dsaa_nfq *nfq, unsigned n)
{
	unsigned i;

	for (i = 0; i < n; i++)
		judge(nfq, &nfq->packets[i]);
	flush(nfq);
	for (i = 0; i < n; i++) {
		struct dsaa_nfq_packet *p = &nfq->packets[i];

		if (p->copies && !p->sent)
			p->reason = DSAA_R_SEND_FAILED;
		count(nfq, p);
	}
}
