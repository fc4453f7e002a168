/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The kernel's packet queues (nfnetlink_queue): binding, reading in batches,
 * verdicts in batches. Those of foreign connections give out packets as the
 * stack has them, large and without checksum (dsaa_nfq_cut.c); of all others
 * each is one packet of the wire with a complete checksum.
 */
#include "nfq/dsaa_nfq_private.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <linux/if_ether.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_queue.h>
#include <linux/netlink.h>

enum {
	/*
	 * The socket's buffer (twice DSAA_NFQ_RCVBUF, at least 768 bytes a message) overflows
	 * before the kernel's queue is full: the former leaves a gap in the packets' numbers
	 * and can be counted exactly, the latter does not.
	 */
	QUEUE_MAXLEN = 65536,
	/* the most that the kernel copies (its NFQNL_MAX_COPY_RANGE) */
	COPY_RANGE = 65531,
	/*
	 * Of what was cut the segments of one packet wait at a time: twice this holds those of
	 * 64 KB with 36 bytes each.
	 */
	CUT_RCVBUF = 4 << 20,
	VERDICT_LEN = 64,
	CONFIG_LEN = 256,
};

static enum dsaa_nfq_lane lane_of(unsigned class)
{
	if (class <= DSAA_SITES_MAX)
		return DSAA_LANE_FOREIGN;
	return class == DSAA_QUEUE_PEER ? DSAA_LANE_PEER : DSAA_LANE_OFFER;
}

static struct nlmsghdr *message(void *buf, uint16_t type, uint16_t queue)
{
	struct nlmsghdr *msg = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *g;

	msg->nlmsg_type = NFNL_SUBSYS_QUEUE << 8 | type;
	msg->nlmsg_flags = NLM_F_REQUEST;
	g = mnl_nlmsg_put_extra_header(msg, sizeof(*g));
	g->nfgen_family = AF_UNSPEC;
	g->version = NFNETLINK_V0;
	g->res_id = htons(queue);
	return msg;
}

/* ------------------------------------------------------------------ binding */

/* Drops a packet that came before the queues are all there. */
static void drop_early(int fd, const struct nlmsghdr *msg)
{
	const struct nfgenmsg *g = mnl_nlmsg_get_payload(msg);
	struct nfqnl_msg_verdict_hdr v = { .verdict = htonl(NF_DROP) };
	const struct nfqnl_msg_packet_hdr *ph;
	uint8_t buf[VERDICT_LEN];
	const struct nlattr *a;
	struct nlmsghdr *reply;

	mnl_attr_for_each (a, msg, sizeof(*g)) {
		if (mnl_attr_get_type(a) != NFQA_PACKET_HDR ||
		    mnl_attr_get_payload_len(a) < sizeof(*ph))
			continue;
		ph = mnl_attr_get_payload(a);
		v.id = ph->packet_id;
		reply = message(buf, NFQNL_MSG_VERDICT, ntohs(g->res_id));
		mnl_attr_put(reply, NFQA_VERDICT_HDR, sizeof(v), &v);
		send(fd, reply, reply->nlmsg_len, 0);
	}
}

/* Waits for the answer to the message with sequence SEQ: 0 or a negative errno. */
static int wait_answer(int fd, uint32_t seq)
{
	/* short: a packet may come in between and only its head matters */
	uint8_t buf[4096];

	for (;;) {
		ssize_t n = recv(fd, buf, sizeof(buf), 0);
		struct nlmsghdr *msg = (struct nlmsghdr *)buf;

		if (n < 0 && (errno == EINTR || errno == ENOBUFS))
			continue;
		if (n < 0)
			return -errno;
		if ((size_t)n < sizeof(*msg))
			return -EPROTO;
		if (msg->nlmsg_type == NLMSG_ERROR && msg->nlmsg_seq == seq)
			return ((struct nlmsgerr *)mnl_nlmsg_get_payload(msg))->error;
		if (msg->nlmsg_type == (NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_PACKET)) {
			/* what did not fit the buffer was cut off; so is the length */
			if (msg->nlmsg_len > (size_t)n)
				msg->nlmsg_len = n;
			drop_early(fd, msg);
		}
	}
}

/* All parameters go with the bind, so that no packet meets a half-made queue. */
static int bind_queue(int fd, uint16_t number, uint32_t seq, bool as_they_are)
{
	const uint32_t flags = NFQA_CFG_F_FAIL_OPEN | NFQA_CFG_F_GSO | NFQA_CFG_F_CONNTRACK;
	struct nfqnl_msg_config_cmd cmd = { .command = NFQNL_CFG_CMD_BIND };
	struct nfqnl_msg_config_params params = { htonl(COPY_RANGE), NFQNL_COPY_PACKET };
	uint8_t buf[CONFIG_LEN];
	struct nlmsghdr *msg = message(buf, NFQNL_MSG_CONFIG, number);

	msg->nlmsg_flags |= NLM_F_ACK;
	msg->nlmsg_seq = seq;
	mnl_attr_put(msg, NFQA_CFG_CMD, sizeof(cmd), &cmd);
	mnl_attr_put(msg, NFQA_CFG_PARAMS, sizeof(params), &params);
	mnl_attr_put_u32(msg, NFQA_CFG_FLAGS, htonl(as_they_are ? NFQA_CFG_F_GSO : 0));
	mnl_attr_put_u32(msg, NFQA_CFG_MASK, htonl(flags));
	mnl_attr_put_u32(msg, NFQA_CFG_QUEUE_MAXLEN, htonl(QUEUE_MAXLEN));
	if (send(fd, msg, msg->nlmsg_len, 0) < 0)
		return -errno;
	return wait_answer(fd, seq);
}

static int open_lane(enum dsaa_nfq_lane lane)
{
	struct sockaddr_nl self = { .nl_family = AF_NETLINK };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_NETFILTER);
	int room = lane == DSAA_LANE_CUT ? CUT_RCVBUF : DSAA_NFQ_RCVBUF, one = 1;
	struct timeval patience = { .tv_sec = 5 };

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof(room)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
	setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &one, sizeof(one));
	/* what is there is to be read at once, after an overrun too: the gap tells of that */
	if (lane == DSAA_LANE_CUT)
		setsockopt(fd, SOL_NETLINK, NETLINK_NO_ENOBUFS, &one, sizeof(one));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	if (bind(fd, (struct sockaddr *)&self, sizeof(self)) < 0 ||
	    connect(fd, (struct sockaddr *)&self, sizeof(self)) < 0) {
		int error = errno;

		close(fd);
		return -error;
	}
	return fd;
}

static void explain_bind(char *err, size_t errlen, unsigned number, int rc)
{
	if (rc == -EBUSY)
		snprintf(err, errlen, "NFQUEUE %u is in use by another program", number);
	else if (rc == -EPERM)
		snprintf(err, errlen,
			 "NFQUEUE %u: no permission (CAP_NET_ADMIN), or in use by another program",
			 number);
	else if (rc == -EINVAL) /* nfnetlink's word for a part of it that is not there */
		snprintf(err, errlen,
			 "NFQUEUE %u cannot be bound: the kernel has no NFQUEUE (module "
			 "nfnetlink_queue)",
			 number);
	else
		snprintf(err, errlen, "NFQUEUE %u cannot be bound: %s", number, strerror(-rc));
}

static uint16_t number_of(const struct dsaa_nfq_queues *q, unsigned class, bool was_cut)
{
	return q->base + (was_cut ? dsaa_queue_cut_number(class, q->thread) :
				    dsaa_queue_number(class, q->thread));
}

/* Binds the queue of CLASS to the socket of its LANE. */
static int bind_class(struct dsaa_nfq_queues *q, enum dsaa_nfq_lane lane, unsigned class, char *err,
		      size_t errlen)
{
	uint16_t number = number_of(q, class, lane == DSAA_LANE_CUT);
	int rc = bind_queue(q->fd[lane], number, class, lane == DSAA_LANE_FOREIGN);

	if (rc < 0)
		explain_bind(err, errlen, number, rc);
	return rc;
}

/* A further thread serves the queues of the sites alone. */
static bool has_lane(unsigned thread, enum dsaa_nfq_lane lane)
{
	return thread == 0 || lane == DSAA_LANE_FOREIGN || lane == DSAA_LANE_CUT;
}

static bool open_lanes(struct dsaa_nfq_queues *q, char *err, size_t errlen)
{
	unsigned i;

	for (i = 0; i < DSAA_LANES; i++)
		q->fd[i] = -1;
	for (i = 0; i < DSAA_LANES; i++) {
		if (!has_lane(q->thread, i))
			continue;
		q->fd[i] = open_lane(i);
		if (q->fd[i] < 0) {
			snprintf(err, errlen, "no socket for NFQUEUE: %s", strerror(-q->fd[i]));
			return false;
		}
	}
	return true;
}

static bool bind_all(struct dsaa_nfq_queues *q, char *err, size_t errlen)
{
	unsigned i;

	/* the second ones first: those before them send packets there */
	for (i = 1; i <= DSAA_SITES_MAX; i++)
		if (bind_class(q, DSAA_LANE_CUT, i, err, errlen) < 0)
			return false;
	for (i = 1; i < DSAA_QUEUE_CLASSES; i++)
		if (has_lane(q->thread, lane_of(i)) &&
		    bind_class(q, lane_of(i), i, err, errlen) < 0)
			return false;
	return true;
}

bool dsaa_nfq_queues_open(struct dsaa_nfq_queues *q, uint16_t base, unsigned thread, char *err,
			  size_t errlen)
{
	memset(q, 0, sizeof(*q));
	q->base = base;
	q->thread = thread;
	if (open_lanes(q, err, errlen) && bind_all(q, err, errlen))
		return true;
	dsaa_nfq_queues_close(q);
	return false;
}

void dsaa_nfq_queues_close(struct dsaa_nfq_queues *q)
{
	unsigned i;

	/* the kernel drops what waits in the queues of a closed socket */
	for (i = 0; i < DSAA_LANES; i++) {
		if (q->fd[i] >= 0)
			close(q->fd[i]);
		q->fd[i] = -1;
	}
}

/* ------------------------------------------------------------------ reading */

static bool is_site(const struct nfqnl_msg_packet_hw *hw)
{
	static const uint8_t prefix[] = DSAA_MAC_PREFIX;

	return ntohs(hw->hw_addrlen) == ETH_ALEN &&
	       memcmp(hw->hw_addr, prefix, sizeof(prefix)) == 0;
}

static void read_source(struct dsaa_nfq_packet *p, const struct nfqnl_msg_packet_hw *hw)
{
	p->from_site = is_site(hw);
	p->offered = p->from_site && hw->hw_addr[DSAA_MAC_SECOND_CHANCE] == 1;
}

static void read_state(struct dsaa_nfq_packet *p, uint32_t info)
{
	p->large = info & NFQA_SKB_GSO;
	p->unsummed = info & NFQA_SKB_CSUMNOTREADY;
}

/* The kernel numbers packets when it gives them out: a gap tells of some that found no room. */
static uint32_t gap(struct dsaa_nfq_queues *q, const struct dsaa_nfq_packet *p)
{
	uint32_t *last = &q->last_id[p->queue][p->was_cut], lost = p->id - *last - 1;

	*last = p->id;
	return lost;
}

/* One attribute of a packet's message; the header, which every one has, is in *PH afterwards. */
static void read_attribute(struct dsaa_nfq_packet *p, const struct nlattr *a,
			   const struct nfqnl_msg_packet_hdr **ph)
{
	uint16_t len = mnl_attr_get_payload_len(a);

	switch (mnl_attr_get_type(a)) {
	case NFQA_PACKET_HDR:
		if (len >= sizeof(**ph))
			*ph = mnl_attr_get_payload(a);
		break;
	case NFQA_IFINDEX_INDEV:
		if (len >= sizeof(uint32_t))
			p->indev = ntohl(mnl_attr_get_u32(a));
		break;
	case NFQA_HWADDR:
		if (len >= sizeof(struct nfqnl_msg_packet_hw))
			read_source(p, mnl_attr_get_payload(a));
		break;
	case NFQA_SKB_INFO:
		if (len >= sizeof(uint32_t))
			read_state(p, ntohl(mnl_attr_get_u32(a)));
		break;
	case NFQA_PAYLOAD:
		p->data = mnl_attr_get_payload(a);
		p->len = len;
		break;
	}
}

/* One message: true when it is a packet of ours. */
static bool read_packet(struct dsaa_nfq_queues *q, const struct nlmsghdr *msg,
			struct dsaa_nfq_packet *p, uint64_t *lost)
{
	const struct nfgenmsg *g = mnl_nlmsg_get_payload(msg);
	const struct nfqnl_msg_packet_hdr *ph = NULL;
	const struct nlattr *a;
	uint16_t number;

	if (msg->nlmsg_type != (NFNL_SUBSYS_QUEUE << 8 | NFQNL_MSG_PACKET) ||
	    mnl_nlmsg_get_payload_len(msg) < sizeof(*g))
		return false;
	memset(p, 0, sizeof(*p));
	number = ntohs(g->res_id) - q->base;
	p->queue = dsaa_queue_class(number);
	p->was_cut = dsaa_queue_is_cut(number);
	if (p->queue == 0)
		return false;
	mnl_attr_for_each (a, msg, sizeof(*g))
		read_attribute(p, a, &ph);
	if (!ph)
		return false;
	p->id = ntohl(ph->packet_id);
	p->forwarded = ph->hook == NF_INET_FORWARD;
	*lost += gap(q, p);
	return true;
}

/* The message of LEN bytes that was read into place I, in one piece. */
static struct nlmsghdr *whole_message(struct dsaa_nfq_room *room, unsigned i, size_t len)
{
	if (len <= DSAA_NFQ_SMALL)
		return (struct nlmsghdr *)room->small[i];
	memcpy(room->large[i], room->small[i], DSAA_NFQ_SMALL);
	return (struct nlmsghdr *)room->large[i];
}

int dsaa_nfq_queues_read(struct dsaa_nfq_queues *q, enum dsaa_nfq_lane lane,
			 struct dsaa_nfq_room *room, struct dsaa_nfq_packet *packets,
			 uint64_t *lost)
{
	struct mmsghdr msgs[DSAA_NFQ_BATCH];
	struct iovec iov[DSAA_NFQ_BATCH][2];
	int most = lane == DSAA_LANE_FOREIGN && q->large ? DSAA_NFQ_LARGE_BATCH : DSAA_NFQ_BATCH;
	int n, i, count = 0;

	memset(msgs, 0, sizeof(msgs));
	for (i = 0; i < most; i++) {
		iov[i][0] = (struct iovec){ room->small[i], DSAA_NFQ_SMALL };
		iov[i][1] = (struct iovec){ room->large[i] + DSAA_NFQ_SMALL, DSAA_NFQ_SLOT };
		msgs[i].msg_hdr.msg_iov = iov[i];
		msgs[i].msg_hdr.msg_iovlen = 2;
	}
	n = recvmmsg(q->fd[lane], msgs, most, MSG_DONTWAIT, NULL);
	if (n < 0) {
		/* an overrun is counted by the gap that it leaves; want of memory passes */
		if (errno == EAGAIN || errno == EINTR || errno == ENOBUFS || errno == ENOMEM)
			return 0;
		return -errno;
	}
	if (lane == DSAA_LANE_FOREIGN)
		q->large = false;
	for (i = 0; i < n; i++) {
		struct nlmsghdr *msg = whole_message(room, i, msgs[i].msg_len);

		if (mnl_nlmsg_ok(msg, (int)msgs[i].msg_len) &&
		    read_packet(q, msg, &packets[count], lost))
			q->large |= packets[count++].large;
	}
	return count;
}

/* ------------------------------------------------------------------ verdicts */

/* Appends the verdict on packet ID in QUEUE, or (a batch) on all up to ID, to BUF; its length. */
static size_t put_verdict(uint8_t *buf, uint16_t type, uint16_t queue, uint32_t id,
			  uint32_t verdict)
{
	struct nfqnl_msg_verdict_hdr v = { htonl(verdict), htonl(id) };
	struct nlmsghdr *msg = message(buf, type, queue);

	mnl_attr_put(msg, NFQA_VERDICT_HDR, sizeof(v), &v);
	return NLMSG_ALIGN(msg->nlmsg_len);
}

static uint32_t verdict_on(const struct dsaa_nfq_packet *p)
{
	return p->accept ? NF_ACCEPT : NF_DROP;
}

static uint16_t number_in(const struct dsaa_nfq_queues *q, const struct dsaa_nfq_packet *p)
{
	return number_of(q, p->queue, p->was_cut);
}

static size_t put_singly(const struct dsaa_nfq_queues *q, uint8_t *buf,
			 const struct dsaa_nfq_packet *packets, unsigned count)
{
	size_t len = 0;
	unsigned i;

	for (i = 0; i < count; i++)
		if (!packets[i].held)
			len += put_verdict(buf + len, NFQNL_MSG_VERDICT, number_in(q, &packets[i]),
					   packets[i].id, verdict_on(&packets[i]));
	return len;
}

/*
 * A batch verdict is for all packets up to its number that still wait, so each
 * run of equal verdicts in one queue takes one message. Packets are judged in
 * the order in which they came and none is left out; one that is to be cut has
 * its own verdict before any of a later one. So no run can cover a packet that
 * was judged differently.
 */
static size_t put_batches(const struct dsaa_nfq_queues *q, uint8_t *buf,
			  const struct dsaa_nfq_packet *packets, unsigned count)
{
	const struct dsaa_nfq_packet *run[DSAA_QUEUE_CLASSES] = { NULL };
	size_t len = 0;
	unsigned i;

	for (i = 0; i < count; i++) {
		const struct dsaa_nfq_packet *p = &packets[i], *before = run[p->queue];

		if (before && before->accept != p->accept)
			len += put_verdict(buf + len, NFQNL_MSG_VERDICT_BATCH, number_in(q, before),
					   before->id, verdict_on(before));
		run[p->queue] = p;
	}
	for (i = 0; i < DSAA_QUEUE_CLASSES; i++)
		if (run[i])
			len += put_verdict(buf + len, NFQNL_MSG_VERDICT_BATCH, number_in(q, run[i]),
					   run[i]->id, verdict_on(run[i]));
	return len;
}

void dsaa_nfq_queues_verdict(struct dsaa_nfq_queues *q, enum dsaa_nfq_lane lane,
			     const struct dsaa_nfq_packet *packets, unsigned count, bool singly)
{
	uint8_t buf[DSAA_NFQ_BATCH * VERDICT_LEN];
	size_t len = singly ? put_singly(q, buf, packets, count) :
			      put_batches(q, buf, packets, count);

	if (len)
		send(q->fd[lane], buf, len, 0);
}

static bool send_verdict(const struct dsaa_nfq_queues *q, const struct dsaa_nfq_packet *p,
			 uint32_t verdict)
{
	uint8_t buf[VERDICT_LEN];
	size_t len = put_verdict(buf, NFQNL_MSG_VERDICT, number_in(q, p), p->id, verdict);

	return send(q->fd[DSAA_LANE_FOREIGN], buf, len, 0) == (ssize_t)len;
}

bool dsaa_nfq_queues_cut(struct dsaa_nfq_queues *q, const struct dsaa_nfq_packet *p)
{
	uint32_t second = number_of(q, p->queue, true);

	if (send_verdict(q, p, NF_QUEUE_NR(second)))
		return true;
	/* it must not wait for a verdict on others */
	send_verdict(q, p, NF_DROP);
	return false;
}
