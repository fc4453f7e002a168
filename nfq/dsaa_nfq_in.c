/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * From the peers to the stack: each datagram of the tunnel is checked in this
 * order, and the first check that fails is its reason.
 *
 *	1. the source is a sync-address of a peer, and it came in where that
 *	   link ends					RX_STRANGER
 *	2. header and packet can be read		RX_MALFORMED
 *	3. it says that it goes from that peer to us	RX_STRANGER
 *	4. the logical interface is known		RX_UNKNOWN_INTERFACE
 *	5. second chance: the connection is ours, or	RX_NOT_OURS
 *	   may be one that is expected
 *	6. the TAP device takes it			TUN_FAILED
 *
 * The kernel hands over a train of equal datagrams as one; segments of a TCP
 * connection that follow each other go on as one large packet.
 *
 * What passes is RX_DELIVERED. Behind the TAP device the rules send packets
 * of no entry, or of a foreign one, back to the queue, where they are refused.
 */
#include "nfq/dsaa_nfq_private.h"

#include <string.h>

/* The peer that SOURCE belongs to, with a link that ends in this socket and interface. */
static const struct dsaa_nfq_peer *find_peer(const struct dsaa_nfq_plan *plan,
					     const struct dsaa_nfq_socket *s,
					     const struct dsaa_nfq_datagram *d)
{
	unsigned i, j;

	for (i = 0; i < plan->config.peers; i++) {
		const struct dsaa_nfq_peer *peer = &plan->config.peer[i];

		for (j = 0; j < peer->links; j++)
			if (plan->of_link[i][j] == s &&
			    dsaa_addr_equal(&peer->link[j].remote, &d->source) &&
			    (peer->link[j].ifindex == 0 || peer->link[j].ifindex == d->ifindex))
				return peer;
	}
	return NULL;
}

/*
 * A packet without entry that could be the first of a connection. Whether one of ours expects it
 * (FTP's data connection, PPTP's GRE), only conntrack knows: behind the original interface the
 * rules send it to the queue unless it does.
 */
static bool may_open(const struct dsaa_packet *p)
{
	if (p->icmp_error || p->proto == DSAA_PROTO_ICMP || p->proto == DSAA_PROTO_ICMPV6)
		return false;
	return p->proto != DSAA_PROTO_TCP || p->tcp_syn;
}

/*
 * True when the connection of the packet is in our table, and ours; or when conntrack has to say.
 */
static bool is_ours(struct dsaa_nfq *nfq, const uint8_t *data, size_t len)
{
	struct dsaa_packet p;
	unsigned owner = 0;
	int found;

	if (!nfq->find || dsaa_packet_parse(data, len, &p) != DSAA_R_NONE)
		return false;
	found = nfq->find(nfq->find_arg, &p, &owner);
	if (found != 1)
		return found == 0 && may_open(&p);
	if (owner == 0 && nfq->elsewhere)
		nfq->elsewhere(nfq->find_arg, &p);
	return owner == 0 || owner == nfq->plan->config.local_site ||
	       (owner <= DSAA_SITES_MAX && dsaa_nfq_word(nfq, owner) == DSAA_WORD_ADOPTED);
}

static unsigned check(struct dsaa_nfq *nfq, const struct dsaa_nfq_socket *s,
		      const struct dsaa_nfq_datagram *d, struct dsaa_encap *e,
		      const struct dsaa_nfq_peer **peer)
{
	const struct dsaa_nfq_plan *plan = nfq->plan;
	unsigned reason;

	*peer = find_peer(plan, s, d);
	if (!*peer)
		return DSAA_R_RX_STRANGER;
	reason = dsaa_encap_decode(d->data, d->len, e);
	if (reason != DSAA_R_NONE)
		return reason;
	if (e->from != (*peer)->site || e->to != plan->config.local_site)
		return DSAA_R_RX_STRANGER;
	if (e->iface == 0 || e->iface > plan->config.ifaces)
		return DSAA_R_RX_UNKNOWN_INTERFACE;
	return DSAA_R_NONE;
}

static void count_received(struct dsaa_nfq *nfq, dsaa_site_id site, size_t len)
{
	dsaa_nfq_add(&nfq->tally.peer[site].packets_received, 1);
	dsaa_nfq_add(&nfq->tally.peer[site].bytes_received, len);
}

static void tell(struct dsaa_nfq *nfq, const uint8_t *inner, size_t len, unsigned reason,
		 dsaa_site_id site)
{
	const struct dsaa_nfq_trace t = {
		.data = inner, .len = len, .reason = reason, .from_peer = true, .site = site
	};

	if (dsaa_nfq_traced(nfq))
		nfq->tell(nfq->find_arg, &t);
}

/* DSAA_R_NONE: passed to the TAP device, which counts. */
static unsigned take(struct dsaa_nfq *nfq, const struct dsaa_nfq_socket *s,
		     const struct dsaa_nfq_datagram *d)
{
	const struct dsaa_nfq_peer *peer;
	struct dsaa_nfq_origin origin;
	struct dsaa_encap e;
	unsigned reason = check(nfq, s, d, &e, &peer);
	uint8_t *inner = (uint8_t *)d->data + DSAA_ENCAP_LEN;
	size_t len;

	if (reason != DSAA_R_NONE)
		return reason;
	/* the check has seen that it is no longer than the datagram; padding may follow it */
	len = dsaa_nfq_ip_length(inner);
	count_received(nfq, peer->site, len);
	if (e.second_chance && !is_ours(nfq, inner, len)) {
		tell(nfq, inner, len, DSAA_R_RX_NOT_OURS, peer->site);
		return DSAA_R_RX_NOT_OURS;
	}
	tell(nfq, inner, len, DSAA_R_RX_DELIVERED, peer->site);
	origin = (struct dsaa_nfq_origin){ (uint8_t)e.iface, peer->site, e.second_chance };
	dsaa_nfq_tun_deliver(&nfq->tun, origin, inner, len, nfq->plan->mtu[e.iface - 1]);
	return DSAA_R_NONE;
}

/* Each datagram of a train by itself. */
static void take_train(struct dsaa_nfq *nfq, const struct dsaa_nfq_socket *s,
		       const struct dsaa_nfq_datagram *train)
{
	struct dsaa_nfq_datagram one = *train;
	size_t left = train->len;
	unsigned reason;

	/* an empty datagram is one, too */
	do {
		one.len = left < train->each ? left : train->each;
		reason = take(nfq, s, &one);
		if (reason != DSAA_R_NONE)
			dsaa_nfq_add(&nfq->tally.reason[reason], 1);
		if (reason != DSAA_R_NONE && reason != DSAA_R_RX_NOT_OURS)
			tell(nfq, one.data, one.len, reason, 0);
		one.data += one.len;
		left -= one.len;
	} while (left);
}

void dsaa_nfq_receive(struct dsaa_nfq *nfq, const struct dsaa_nfq_socket *s, unsigned count)
{
	unsigned i;

	for (i = 0; i < count; i++)
		take_train(nfq, s, &nfq->datagrams[i]);
	dsaa_nfq_tun_flush(&nfq->tun);
	dsaa_nfq_add(&nfq->tally.reason[DSAA_R_RX_DELIVERED], nfq->tun.delivered);
	dsaa_nfq_add(&nfq->tally.reason[DSAA_R_TUN_FAILED], nfq->tun.failed);
	nfq->tun.delivered = nfq->tun.failed = 0;
}
