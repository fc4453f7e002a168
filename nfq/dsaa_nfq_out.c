/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the queue to the peers: what is to be done with a queued packet, and
 * the sending. The judgement itself is dsaa_owner_verdict() of core; here are
 * the facts and the deeds.
 *
 * Datagrams of equal length that follow each other to one peer, as full TCP
 * segments do, are given to the kernel as one "train" (UDP_SEGMENT): it passes
 * the stack once, and leaves as datagrams of their own, or even arrives as one.
 */
#include "nfq/dsaa_nfq_private.h"

#include <errno.h>
#include <net/if.h>
#include <netinet/udp.h>
#include <string.h>

/* ------------------------------------------------------------------ sending */

static struct dsaa_nfq_socket *socket_of(const struct dsaa_nfq_plan *plan,
					 const struct dsaa_nfq_peer *peer, unsigned link)
{
	return plan->of_link[peer - plan->config.peer][link];
}

static size_t datagram_len(const struct dsaa_nfq_socket *s, unsigned i)
{
	return s->iov[i][0].iov_len + s->iov[i][1].iov_len;
}

/* Datagram I of S was taken by the kernel. */
static void count_sent(struct dsaa_nfq *nfq, const struct dsaa_nfq_socket *s, unsigned i)
{
	struct dsaa_nfq_packet *p = s->what[i].packet;
	dsaa_site_id site = s->what[i].peer->site;
	size_t len = datagram_len(s, i) - DSAA_ENCAP_LEN;

	p->sent++;
	dsaa_nfq_add(&nfq->tally.peer[site].packets_sent, 1);
	dsaa_nfq_add(&nfq->tally.peer[site].bytes_sent, len);
	/* once, however many peers it is offered to; each segment */
	if (p->sent == 1 || p->each)
		dsaa_nfq_prefix_count(nfq, p->data, len);
}

/* The kernel refused datagram I of S: tries the peer's further links, one by one. */
static void send_elsewhere(struct dsaa_nfq *nfq, struct dsaa_nfq_socket *s, unsigned i)
{
	const struct dsaa_nfq_peer *peer = s->what[i].peer;
	unsigned link;

	for (link = s->what[i].link + 1; link < peer->links; link++) {
		struct dsaa_nfq_socket *other = socket_of(nfq->plan, peer, link);
		struct sockaddr_storage to;
		struct msghdr msg = { .msg_name = &to, .msg_iov = s->iov[i], .msg_iovlen = 2 };

		if (!other || other->fd < 0)
			continue;
		msg.msg_namelen = dsaa_nfq_sockaddr(&to, &peer->link[link].remote, other->port);
		if (sendmsg(other->fd, &msg, MSG_DONTWAIT) >= 0) {
			count_sent(nfq, s, i);
			return;
		}
	}
}

/* Datagrams FIRST to FIRST + COUNT - 1 of a socket, as one message. */
struct train {
	unsigned first, count;
	_Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(uint16_t))];
};

/* How many datagrams from FIRST on can go as one: all alike, but the last may be shorter. */
static unsigned train_count(const struct dsaa_nfq_socket *s, unsigned first)
{
	size_t each = datagram_len(s, first), total = each, len = each;
	unsigned n;

	if (each > s->train_max)
		return 1;
	for (n = 1; first + n < s->waiting && n < DSAA_NFQ_TRAIN && len == each; n++) {
		len = datagram_len(s, first + n);
		total += len;
		if (s->what[first + n].to != s->what[first].to || len > each ||
		    total > DSAA_NFQ_TRAIN_BYTES)
			break;
	}
	return n;
}

static void make_message(struct dsaa_nfq_socket *s, struct train *t, struct mmsghdr *m)
{
	uint16_t each = datagram_len(s, t->first);
	struct cmsghdr *c;

	memset(m, 0, sizeof(*m));
	m->msg_hdr.msg_name = s->what[t->first].to;
	m->msg_hdr.msg_namelen = s->local.family == 4 ? sizeof(struct sockaddr_in) :
							sizeof(struct sockaddr_in6);
	m->msg_hdr.msg_iov = s->iov[t->first];
	m->msg_hdr.msg_iovlen = 2 * (size_t)t->count;
	if (t->count == 1)
		return;
	m->msg_hdr.msg_control = t->control;
	m->msg_hdr.msg_controllen = sizeof(t->control);
	c = CMSG_FIRSTHDR(&m->msg_hdr);
	c->cmsg_level = IPPROTO_UDP;
	c->cmsg_type = UDP_SEGMENT;
	c->cmsg_len = CMSG_LEN(sizeof(each));
	memcpy(CMSG_DATA(c), &each, sizeof(each));
}

static unsigned make_trains(struct dsaa_nfq_socket *s, struct train *trains, struct mmsghdr *msgs)
{
	unsigned n = 0, at;

	for (at = 0; at < s->waiting; at += trains[n++].count) {
		trains[n].first = at;
		trains[n].count = train_count(s, at);
		make_message(s, &trains[n], &msgs[n]);
	}
	return n;
}

/*
 * The kernel refused train T: each datagram by itself. What goes then was too
 * long for a train: the path's MTU wants it in fragments, or the way is one
 * (IPsec) that takes no trains at all.
 */
static void send_one_by_one(struct dsaa_nfq *nfq, struct dsaa_nfq_socket *s, const struct train *t)
{
	bool refused = errno == EINVAL || errno == EMSGSIZE || errno == EIO || errno == EOPNOTSUPP;
	struct train one = { .count = 1 };
	struct mmsghdr m;
	unsigned i;

	for (i = t->first; i < t->first + t->count; i++) {
		one.first = i;
		make_message(s, &one, &m);
		if (sendmsg(s->fd, &m.msg_hdr, MSG_DONTWAIT) < 0) {
			send_elsewhere(nfq, s, i);
			continue;
		}
		count_sent(nfq, s, i);
		if (refused)
			s->train_max = datagram_len(s, t->first) - 1;
	}
}

/* Sends what waits in S. A full socket buffer (EAGAIN) loses the packet, as any full link does. */
static void flush_socket(struct dsaa_nfq *nfq, struct dsaa_nfq_socket *s)
{
	struct mmsghdr msgs[DSAA_NFQ_OUT];
	struct train trains[DSAA_NFQ_OUT];
	unsigned count = make_trains(s, trains, msgs), done = 0, i;
	int n;

	while (done < count) {
		n = sendmmsg(s->fd, &msgs[done], count - done, MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && trains[done].count == 1)
			send_elsewhere(nfq, s, trains[done++].first);
		else if (n < 0)
			send_one_by_one(nfq, s, &trains[done++]);
		for (; n > 0 && done < count; n--, done++)
			for (i = trains[done].first; i < trains[done].first + trains[done].count;
			     i++)
				count_sent(nfq, s, i);
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

/* The socket of the peer's first usable link, with its number in *LINK, or NULL. */
static struct dsaa_nfq_socket *first_link(const struct dsaa_nfq *nfq,
					  const struct dsaa_nfq_peer *peer, unsigned *link)
{
	struct dsaa_nfq_socket *s;

	for (*link = 0; *link < peer->links; ++*link) {
		s = socket_of(nfq->plan, peer, *link);
		if (s && s->fd >= 0)
			return s;
	}
	return NULL;
}

/* A free place in S for a datagram with P, or a part of it, for PEER. */
static unsigned take_place(struct dsaa_nfq *nfq, struct dsaa_nfq_socket *s,
			   struct dsaa_nfq_packet *p, const struct dsaa_nfq_peer *peer,
			   unsigned link, const struct dsaa_encap *e)
{
	unsigned at;

	if (s->waiting == DSAA_NFQ_OUT)
		flush_socket(nfq, s);
	at = s->waiting++;
	dsaa_encap_encode(s->header[at], e);
	s->what[at].packet = p;
	s->what[at].peer = peer;
	s->what[at].link = link;
	s->what[at].to = &nfq->plan->remote[peer - nfq->plan->config.peer][link];
	return at;
}

/* Puts a copy of P for PEER into the socket of its first usable link: one datagram a segment. */
static void send_to_peer(struct dsaa_nfq *nfq, struct dsaa_nfq_packet *p,
			 const struct dsaa_nfq_peer *peer, const struct dsaa_encap *encap)
{
	struct dsaa_encap e = *encap;
	size_t head = p->each ? p->head : 0, each = p->each ? p->each : p->len, at, n;
	struct dsaa_nfq_socket *s;
	unsigned link, i;

	s = first_link(nfq, peer, &link);
	e.to = peer->site;
	for (at = 0; at < p->len - head; at += n) {
		p->copies++;
		n = each;
		if (!s)
			continue;
		i = take_place(nfq, s, p, peer, link, &e);
		if (p->each)
			n = dsaa_nfq_cut_segment(p, at, s->header[i] + DSAA_ENCAP_LEN);
		s->iov[i][0].iov_len = DSAA_ENCAP_LEN + head;
		s->iov[i][1] = (struct iovec){ (uint8_t *)p->data + head + at, n };
	}
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

/* By the TAP device, or delivered on the interface where it came in first. */
static bool is_from_peer(const struct dsaa_nfq *nfq, const struct dsaa_nfq_packet *p)
{
	return p->indev == nfq->tun.ifindex || p->queue == DSAA_QUEUE_PEER ||
	       (p->queue == DSAA_QUEUE_POLICY && p->from_site);
}

static void has_entry(const struct dsaa_nfq *nfq, struct dsaa_packet_facts *f, unsigned owner)
{
	f->class = DSAA_PKT_HAS_ENTRY;
	f->owner = owner == nfq->plan->config.local_site || owner > DSAA_SITES_MAX ? 0 : owner;
	f->word = dsaa_nfq_word(nfq, f->owner);
}

int dsaa_nfq_find_entry(struct dsaa_nfq *nfq, const struct dsaa_nfq_packet *p, unsigned *owner)
{
	struct dsaa_packet parsed;

	if (!nfq->find || dsaa_packet_parse(p->data, p->len, &parsed) != DSAA_R_NONE)
		return 0;
	return nfq->find(nfq->find_arg, &parsed, owner);
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
	unsigned owner = 0;

	if (!f->from_peer && (!f->any_peer_alive || f->to_router))
		return;
	if (dsaa_nfq_find_entry(nfq, p, &owner) == 1)
		has_entry(nfq, f, owner);
}

/* Nobody tells of a half-open connection: what waits for that waits in vain. */
static bool can_wait(const struct dsaa_nfq *nfq, const struct dsaa_nfq_packet *p)
{
	struct dsaa_packet parsed;

	return nfq->plan->config.hold_ms && !p->waited &&
	       (dsaa_packet_parse(p->data, p->len, &parsed) != DSAA_R_NONE || !parsed.tcp_answer);
}

static void gather_facts(struct dsaa_nfq *nfq, const struct dsaa_nfq_packet *p, uint8_t family,
			 const uint8_t dst[16], struct dsaa_packet_facts *f)
{
	memset(f, 0, sizeof(*f));
	f->any_peer_alive = any_peer_alive(nfq);
	f->from_peer = is_from_peer(nfq, p);
	f->second_chance = f->from_peer && p->offered;
	f->to_router = dsaa_addr_is_special(family, dst) ||
		       dsaa_addrset_has(&nfq->plan->addresses, family, dst);
	if (p->queue <= DSAA_SITES_MAX) {
		has_entry(nfq, f, p->queue);
		return;
	}
	f->may_wait = can_wait(nfq, p);
	f->class = DSAA_PKT_INVALID;
	if (p->queue == DSAA_QUEUE_MIDSTREAM)
		f->class = DSAA_PKT_MIDSTREAM;
	else if (p->queue == DSAA_QUEUE_POOL)
		f->class = DSAA_PKT_NEW_TO_POOL;
	else if (p->queue == DSAA_QUEUE_POLICY)
		f->class = DSAA_PKT_NEW;
	f->refused = p->queue == DSAA_QUEUE_POLICY;
	/* the kernel has just looked for these, and found none */
	if (p->waited || (f->class != DSAA_PKT_MIDSTREAM && f->class != DSAA_PKT_NEW_TO_POOL))
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

/* Only the kernel can make of it what goes over a wire; it has a second queue for foreign ones. */
static void leave_to_kernel(struct dsaa_nfq_packet *p)
{
	p->to_be_cut = p->queue <= DSAA_SITES_MAX && !p->was_cut;
	if (!p->to_be_cut)
		p->reason = DSAA_R_UNREADABLE;
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
	if (!dsaa_nfq_cut_prepare(nfq, p)) {
		leave_to_kernel(p);
		return;
	}
	if (verdict == DSAA_VERDICT_OFFER)
		offer(nfq, p, &e);
	else if (nfq->plan->peer_of[owner])
		send_to_peer(nfq, p, nfq->plan->peer_of[owner], &e);
	else
		p->reason = DSAA_R_SEND_FAILED;
}

/* Gives back to the packet what forwarding took from its TTL (RFC 1624 for the sum). */
static void restore_ttl(struct dsaa_nfq_packet *p, uint8_t family)
{
	uint8_t *ip = (uint8_t *)p->data; /* in a buffer of ours */
	uint32_t sum;

	p->forwarded = false;
	if (family == 6) {
		ip[7]++;
		return;
	}
	ip[8]++;
	/* the header's sum is 0x100 more, so its complement is 0x100 less */
	sum = ((uint32_t)ip[10] << 8 | ip[11]) + 0xffff - 0x100;
	sum = (sum & 0xffff) + (sum >> 16);
	ip[10] = sum >> 8;
	ip[11] = sum;
}

static void judge(struct dsaa_nfq *nfq, struct dsaa_nfq_packet *p)
{
	struct dsaa_packet_facts facts;
	enum dsaa_verdict verdict;
	uint8_t family, dst[16];

	p->held = false;
	/* larger than its header can say */
	if (p->large && (p->len < 20 || dsaa_nfq_ip_length(p->data) != p->len)) {
		leave_to_kernel(p);
		return;
	}
	if (!p->data || !read_header(p, &family, dst)) {
		p->reason = DSAA_R_UNREADABLE;
		return;
	}
	if (p->forwarded)
		restore_ttl(p, family);
	gather_facts(nfq, p, family, dst, &facts);
	verdict = dsaa_owner_verdict(&facts, &p->reason);
	if (verdict == DSAA_VERDICT_HOLD && !dsaa_nfq_hold_add(nfq, p)) {
		facts.may_wait = false;
		verdict = dsaa_owner_verdict(&facts, &p->reason);
	}
	if (verdict == DSAA_VERDICT_CORRECT && p->waited)
		p->reason = DSAA_R_HELD;
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
 * device, or by the fast path; here it only counts if it is refused after all.
 * Each segment of a large one counts that was cut here.
 */
static void count(struct dsaa_nfq *nfq, const struct dsaa_nfq_packet *p)
{
	if (p->held || (is_from_peer(nfq, p) && p->accept))
		return;
	if (is_from_peer(nfq, p))
		dsaa_nfq_add(&nfq->tally.taken_back, 1);
	if (!p->each || !p->copies) {
		dsaa_nfq_add(&nfq->tally.reason[p->reason], 1);
		return;
	}
	dsaa_nfq_add(&nfq->tally.reason[p->reason], p->sent);
	dsaa_nfq_add(&nfq->tally.reason[DSAA_R_SEND_FAILED], p->copies - p->sent);
}

static void tell(struct dsaa_nfq *nfq, const struct dsaa_nfq_packet *p)
{
	const struct dsaa_nfq_trace t = {
		.data = p->data, .len = p->len, .reason = p->reason, .indev = p->indev
	};

	nfq->tell(nfq->find_arg, &t);
}

unsigned dsaa_nfq_judge(struct dsaa_nfq *nfq, struct dsaa_nfq_packet *packets, unsigned n)
{
	unsigned i, done;

	for (done = 0; done < n; done++) {
		judge(nfq, &packets[done]);
		if (packets[done].to_be_cut)
			break;
	}
	flush(nfq);
	for (i = 0; i < done; i++) {
		struct dsaa_nfq_packet *p = &packets[i];

		if (p->copies && !p->sent)
			p->reason = DSAA_R_SEND_FAILED;
		count(nfq, p);
		if (dsaa_nfq_traced(nfq))
			tell(nfq, p);
	}
	return done;
}
