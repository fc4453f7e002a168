/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The handle: sockets, events, dumps, sysctls. Changes are in dsaa_ct_apply.c.
 *
 * Three sockets: events come on one, so that a full buffer of answers loses
 * none; changes go through another, whose port id marks the events that they
 * cause as ours; dumps have a third, because the kernel allows one per socket.
 */
#include "conntrack/dsaa_conntrack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_compat.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <linux/netlink.h>

#include "conntrack/dsaa_ct_flow.h"
#include "conntrack/dsaa_ct_private.h"

#define SYSCTL_DIR "/proc/sys/net/netfilter/"

/* ------------------------------------------------------------------ sockets */

static struct mnl_socket *open_socket(unsigned groups, int rcvbuf)
{
	struct mnl_socket *s = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
	int one = 1;

	if (!s)
		return NULL;
	if (mnl_socket_bind(s, groups, MNL_SOCKET_AUTOPID) < 0) {
		mnl_socket_close(s);
		return NULL;
	}
	/* FORCE passes net.core.rmem_max; without the privilege the plain form must do */
	if (setsockopt(mnl_socket_get_fd(s), SOL_SOCKET, SO_RCVBUFFORCE, &rcvbuf, sizeof(rcvbuf)))
		setsockopt(mnl_socket_get_fd(s), SOL_SOCKET, SO_RCVBUF, &rcvbuf, sizeof(rcvbuf));
	/* errors come without a copy of what was refused */
	mnl_socket_setsockopt(s, NETLINK_CAP_ACK, &one, sizeof(one));
	return s;
}

/*
 * The kernel shall not queue, nor wake us for, the events of changes that come from COMMAND_PORTID.
 * One that takes no filter queues them, and keep_event() passes over them.
 */
static void ignore_echoes(struct mnl_socket *events, uint32_t command_portid)
{
	struct sock_filter program[] = {
		/* loads as network order what the kernel wrote in its own */
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct nlmsghdr, nlmsg_pid)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, htonl(command_portid), 0, 1),
		BPF_STMT(BPF_RET | BPF_K, 0),
		BPF_STMT(BPF_RET | BPF_K, UINT32_MAX),
	};
	struct sock_fprog filter = { sizeof(program) / sizeof(program[0]), program };

	(void)setsockopt(mnl_socket_get_fd(events), SOL_SOCKET, SO_ATTACH_FILTER, &filter,
			 sizeof(filter));
}

void dsaa_ct_set_local(struct dsaa_ct *ct, unsigned site)
{
	ct->local = site;
}

/*
 * False when the kernel has nobody who answers for its table. The question makes it load the
 * module, where it is one; a socket alone is to be had without it, and would stay silent.
 */
static bool is_answered(struct dsaa_ct *ct)
{
	struct nlmsghdr *nlh = dsaa_ct_message(ct, ct->batch, IPCTNL_MSG_CT_GET_STATS, NLM_F_ACK,
					       AF_UNSPEC);
	uint32_t seq = nlh->nlmsg_seq;

	if (mnl_socket_sendto(ct->commands, nlh, nlh->nlmsg_len) < 0)
		return true;
	for (;;) {
		ssize_t got = recv(mnl_socket_get_fd(ct->commands), ct->read_buf,
				   sizeof(ct->read_buf), MSG_DONTWAIT);
		int len = (int)got;

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return true;
		nlh = (struct nlmsghdr *)ct->read_buf;
		for (; mnl_nlmsg_ok(nlh, len); nlh = mnl_nlmsg_next(nlh, &len)) {
			const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);

			if (nlh->nlmsg_seq == seq && nlh->nlmsg_type == NLMSG_ERROR &&
			    mnl_nlmsg_get_payload_len(nlh) >= sizeof(*e))
				return e->error != -EINVAL; /* nfnetlink's word for it */
		}
	}
}

struct dsaa_ct *dsaa_ct_open(uint32_t mark_mask, bool events, char *err, size_t errlen)
{
	struct dsaa_ct *ct = calloc(1, sizeof(*ct));
	int sndbuf = DSAA_CT_BATCH_LEN * 2;

	if (!ct) {
		snprintf(err, errlen, "out of memory");
		return NULL;
	}
	ct->mark_mask = mark_mask;
	ct->inbox = dsaa_ct_inbox_new();
	/* nobody shall choose connections that push each other out */
	if (getrandom(&ct->known_seed, sizeof(ct->known_seed), 0) < 0)
		ct->known_seed = (uintptr_t)ct;
	ct->old_events = ct->old_timestamp = ct->old_liberal = -1;
	if (events) {
		ct->events = open_socket(NF_NETLINK_CONNTRACK_NEW | NF_NETLINK_CONNTRACK_UPDATE |
						 NF_NETLINK_CONNTRACK_DESTROY,
					 DSAA_CT_EVENT_BUFFER);
		ct->expects = open_socket(NF_NETLINK_CONNTRACK_EXP_NEW |
						  NF_NETLINK_CONNTRACK_EXP_DESTROY,
					  DSAA_CT_EXPECT_BUFFER);
	}
	ct->commands = open_socket(0, DSAA_CT_COMMAND_BUFFER);
	ct->dumps = open_socket(0, DSAA_CT_COMMAND_BUFFER);
	if ((events && (!ct->events || !ct->expects)) || !ct->commands || !ct->dumps ||
	    !ct->inbox) {
		snprintf(err, errlen, "netlink: %s", strerror(errno));
		dsaa_ct_close(ct);
		return NULL;
	}
	if (!is_answered(ct)) {
		snprintf(err, errlen,
			 "the kernel does not tell of its connections (module "
			 "nf_conntrack_netlink)");
		dsaa_ct_close(ct);
		return NULL;
	}
	setsockopt(mnl_socket_get_fd(ct->commands), SOL_SOCKET, SO_SNDBUFFORCE, &sndbuf,
		   sizeof(sndbuf));
	ct->command_portid = mnl_socket_get_portid(ct->commands);
	if (ct->events)
		ignore_echoes(ct->events, ct->command_portid);
	return ct;
}

void dsaa_ct_close(struct dsaa_ct *ct)
{
	if (!ct)
		return;
	dsaa_ct_sysctl_restore(ct);
	if (ct->events)
		mnl_socket_close(ct->events);
	if (ct->expects)
		mnl_socket_close(ct->expects);
	if (ct->commands)
		mnl_socket_close(ct->commands);
	if (ct->dumps)
		mnl_socket_close(ct->dumps);
	free(ct->inbox);
	free(ct);
}

int dsaa_ct_event_fd(const struct dsaa_ct *ct)
{
	return ct->events ? mnl_socket_get_fd(ct->events) : -1;
}

struct nlmsghdr *dsaa_ct_message(struct dsaa_ct *ct, void *buf, uint16_t type, uint16_t flags,
				 uint8_t family)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *g;

	nlh->nlmsg_type = (NFNL_SUBSYS_CTNETLINK << 8) | type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	nlh->nlmsg_seq = ++ct->seq;
	g = mnl_nlmsg_put_extra_header(nlh, sizeof(*g));
	g->nfgen_family = family == 4 ? AF_INET : family == 6 ? AF_INET6 : AF_UNSPEC;
	g->version = NFNETLINK_V0;
	return nlh;
}

/* ------------------------------------------------------------------ events */

static enum dsaa_ct_event event_kind(const struct nlmsghdr *nlh)
{
	if ((nlh->nlmsg_type & 0xff) == IPCTNL_MSG_CT_DELETE)
		return DSAA_CT_EVENT_DESTROY;
	if (nlh->nlmsg_flags & (NLM_F_CREATE | NLM_F_EXCL))
		return DSAA_CT_EVENT_NEW;
	return DSAA_CT_EVENT_UPDATE;
}

/* Keeps the event for this turn, when it is one to tell. Returns how many are kept. */
static unsigned keep_event(struct dsaa_ct *ct, const struct nlmsghdr *nlh, unsigned kept)
{
	struct dsaa_ct_told *ev = &ct->event[kept];

	if ((nlh->nlmsg_type >> 8) != NFNL_SUBSYS_CTNETLINK)
		return kept;
	/* where the kernel took no filter (ignore_echoes) */
	if (nlh->nlmsg_pid && nlh->nlmsg_pid == ct->command_portid)
		return kept;
	if (!dsaa_ct_flow_parse(nlh, &ev->flow)) {
		ct->counters.unreadable++;
		return kept;
	}
	ct->labels |= !!(ev->flow.has & DSAA_HAS_LABELS);
	dsaa_ct_known_forget(ct, &ev->flow);
	ev->kind = event_kind(nlh);
	ev->partial = dsaa_ct_flow_leaves_out(nlh);
	ev->gone = false;
	return kept + 1;
}

/*
 * Up to MAX events (at most a turn's), each of which the kernel sends alone. Returns how many were
 * read, *KEPT of them to be told, or a negative errno when none waits.
 */
static int read_batch(struct dsaa_ct *ct, unsigned max, unsigned *kept)
{
	int got = dsaa_ct_inbox_receive(ct->inbox, mnl_socket_get_fd(ct->events), max);

	for (int i = 0; i < got; i++) {
		int len;
		const struct nlmsghdr *nlh = dsaa_ct_inbox_at(ct->inbox, (unsigned)i, &len);

		if (!nlh || !mnl_nlmsg_ok(nlh, len))
			ct->counters.unreadable++;
		else
			*kept = keep_event(ct, nlh, *kept);
	}
	return got;
}

/* ------------------------------------------------------------------ what events leave out */

/* True when F says nothing of the state of its protocol. */
static bool lacks_state(const struct dsaa_flow *f)
{
	return (f->proto == DSAA_PROTO_TCP && !f->tcp_state) ||
	       (f->proto == DSAA_PROTO_SCTP && !f->sctp_state) ||
	       (f->proto == DSAA_PROTO_DCCP && !f->dccp_state);
}

/*
 * An event carries the protocol's state only if that has changed, the rare
 * parts only if they have, and the time of creation only if it is the last
 * one. Peers need the first two, for without them they would spoil their
 * replicas; the third, which decides conflicts, only now and then.
 */
static bool is_incomplete(const struct dsaa_ct *ct, const struct dsaa_ct_told *ev,
			  const struct dsaa_ct_reader *reader)
{
	unsigned owner = dsaa_mark_owner(ev->flow.mark, ct->mark_mask);

	if (ev->kind == DSAA_CT_EVENT_DESTROY || (owner && owner != ct->local))
		return false;
	return ev->partial || ct->labels || lacks_state(&ev->flow) ||
	       (reader->needs_lookup && reader->needs_lookup(reader->arg, &ev->flow));
}

/* Takes the answer to a look-up of the event that it names. 0 or -ENOBUFS. */
static int take_completion(struct dsaa_ct *ct, const struct dsaa_apply *look)
{
	struct dsaa_ct_told *ev = &ct->event[look->cookie];

	if (look->result == DSAA_APPLIED_EXISTS && look->existing.id == ev->flow.id) {
		ev->flow = look->existing;
		ct->labels |= !!(ev->flow.has & DSAA_HAS_LABELS);
		ct->counters.completed++;
		return 0;
	}
	ev->gone = true;
	if (look->result == DSAA_APPLIED_EXISTS || look->result == DSAA_APPLIED_ABSENT) {
		ct->counters.vanished++; /* its DESTROY follows */
		return 0;
	}
	/* what this event said is lost as if the kernel had dropped it */
	ct->counters.overruns++;
	return -ENOBUFS;
}

/* Replaces what the incomplete events say by what the table says now. 0 or -ENOBUFS. */
static int complete_events(struct dsaa_ct *ct, unsigned kept, const struct dsaa_ct_reader *reader)
{
	unsigned looks = 0;
	int rc = 0;

	for (unsigned i = 0; i < kept; i++) {
		if (!is_incomplete(ct, &ct->event[i], reader))
			continue;
		ct->look[looks].kind = DSAA_APPLY_LOOKUP;
		ct->look[looks].cookie = i;
		ct->look[looks++].flow = ct->event[i].flow;
	}
	if (looks)
		dsaa_ct_get(ct, ct->look, looks);
	for (unsigned i = 0; i < looks; i++) {
		int one = take_completion(ct, &ct->look[i]);

		rc = one ? one : rc;
	}
	return rc;
}

int dsaa_ct_read_events(struct dsaa_ct *ct, unsigned max, const struct dsaa_ct_reader *reader)
{
	unsigned n = 0;
	int rc = 0;

	while (n < max && !rc) {
		unsigned kept = 0, turn = max - n;
		int lost, got;

		turn = turn < DSAA_CT_EVENTS_PER_TURN ? turn : DSAA_CT_EVENTS_PER_TURN;
		got = read_batch(ct, turn, &kept);
		n += got > 0 ? (unsigned)got : 0;
		rc = got < 0 ? got : 0;
		if (rc == -ENOBUFS) {
			ct->counters.overruns++;
			dsaa_ct_known_clear(ct);
		}
		lost = complete_events(ct, kept, reader);
		for (unsigned i = 0; i < kept; i++) {
			if (ct->event[i].gone)
				continue;
			ct->counters.events[ct->event[i].kind]++;
			reader->event(reader->arg, ct->event[i].kind, &ct->event[i].flow);
		}
		rc = lost ? lost : rc;
	}
	return !rc || rc == -EAGAIN || rc == -EINTR ? (int)n : rc;
}

/* ------------------------------------------------------------------ dump */

static uint32_t owner_mark(const struct dsaa_ct *ct, unsigned owner)
{
	return dsaa_mark_set_owner(0, ct->mark_mask, owner);
}

int dsaa_ct_dump_start(struct dsaa_ct *ct, int owner)
{
	char buf[DSAA_CT_MESSAGE_MAX];
	struct nlmsghdr *nlh;

	dsaa_ct_dump_cancel(ct);
	nlh = dsaa_ct_message(ct, buf, IPCTNL_MSG_CT_GET, NLM_F_DUMP, 0);
	if (owner > 0 && (unsigned)owner == ct->local) {
		/* the bits of our number may be set or not: with one such bit these are the two */
		mnl_attr_put_u32(nlh, CTA_MARK, 0);
		mnl_attr_put_u32(nlh, CTA_MARK_MASK,
				 htonl(ct->mark_mask & ~owner_mark(ct, ct->local)));
	} else if (owner >= 0) {
		mnl_attr_put_u32(nlh, CTA_MARK, htonl(owner_mark(ct, (unsigned)owner)));
		mnl_attr_put_u32(nlh, CTA_MARK_MASK, htonl(ct->mark_mask));
	}
	ct->dump_seq = nlh->nlmsg_seq;
	ct->dump_inconsistent = false;
	if (mnl_socket_sendto(ct->dumps, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	ct->dumping = true;
	return 0;
}

/* A socket with a dump in it cannot be told to stop: a fresh one takes its place. */
void dsaa_ct_dump_cancel(struct dsaa_ct *ct)
{
	struct mnl_socket *fresh;

	if (!ct || !ct->dumping)
		return;
	ct->dumping = false;
	fresh = open_socket(0, DSAA_CT_COMMAND_BUFFER);
	if (!fresh)
		return; /* the old one goes on; what is left in it has an old sequence */
	mnl_socket_close(ct->dumps);
	ct->dumps = fresh;
}

/* The end of a dump carries an errno when the kernel could not go on (no memory). */
static bool done_error(const struct nlmsghdr *nlh)
{
	int error;

	if (nlh->nlmsg_type != NLMSG_DONE || mnl_nlmsg_get_payload_len(nlh) < sizeof(error))
		return false;
	memcpy(&error, mnl_nlmsg_get_payload(nlh), sizeof(error));
	return error < 0;
}

/* One message of the dump; false when it was the last. */
static bool one_dumped(struct dsaa_ct *ct, const struct nlmsghdr *nlh,
		       void (*cb)(void *, const struct dsaa_flow *), void *arg, unsigned *n)
{
	struct dsaa_flow f;

	if (nlh->nlmsg_seq != ct->dump_seq)
		return true;
	if (nlh->nlmsg_flags & NLM_F_DUMP_INTR)
		ct->dump_inconsistent = true;
	if (nlh->nlmsg_type == NLMSG_ERROR || done_error(nlh))
		ct->dump_inconsistent = true;
	if (nlh->nlmsg_type == NLMSG_DONE || nlh->nlmsg_type == NLMSG_ERROR)
		return false;
	(*n)++;
	ct->counters.dumped++;
	if (!dsaa_ct_flow_parse(nlh, &f)) {
		ct->counters.unreadable++;
		return true;
	}
	ct->labels |= !!(f.has & DSAA_HAS_LABELS);
	cb(arg, &f);
	return true;
}

enum dsaa_ct_dump dsaa_ct_dump_read(struct dsaa_ct *ct, unsigned max,
				    void (*cb)(void *arg, const struct dsaa_flow *f), void *arg)
{
	unsigned n = 0;

	while (ct->dumping && n < max) {
		struct nlmsghdr *nlh = (struct nlmsghdr *)ct->dump_buf;
		ssize_t got = recv(mnl_socket_get_fd(ct->dumps), ct->dump_buf, sizeof(ct->dump_buf),
				   MSG_DONTWAIT);
		int len = (int)got;

		if (got < 0 && (errno == EAGAIN || errno == EINTR))
			return DSAA_CT_DUMP_MORE;
		if (got < 0) {
			dsaa_ct_dump_cancel(ct);
			return DSAA_CT_DUMP_ERROR;
		}
		for (; mnl_nlmsg_ok(nlh, len); nlh = mnl_nlmsg_next(nlh, &len)) {
			if (one_dumped(ct, nlh, cb, arg, &n))
				continue;
			ct->dumping = false;
			return ct->dump_inconsistent ? DSAA_CT_DUMP_ERROR : DSAA_CT_DUMP_DONE;
		}
	}
	return ct->dumping ? DSAA_CT_DUMP_MORE : DSAA_CT_DUMP_ERROR;
}

/* ------------------------------------------------------------------ find */

static bool tuple_equal(const struct dsaa_tuple *a, const struct dsaa_tuple *b)
{
	return !memcmp(a, b, sizeof(*a));
}

int dsaa_ct_find(struct dsaa_ct *ct, uint8_t family, uint8_t proto, const struct dsaa_tuple *t,
		 struct dsaa_flow *out, bool *reply)
{
	struct nlmsghdr *nlh = dsaa_ct_message(ct, ct->batch, IPCTNL_MSG_CT_GET, 0, family);
	uint32_t seq = nlh->nlmsg_seq;

	dsaa_ct_flow_put_tuple(nlh, CTA_TUPLE_ORIG, family, proto, t);
	if (mnl_socket_sendto(ct->commands, nlh, nlh->nlmsg_len) < 0)
		return -errno;
	for (;;) {
		/* the kernel answers within sendto: nothing to wait for */
		ssize_t got = recv(mnl_socket_get_fd(ct->commands), ct->read_buf,
				   sizeof(ct->read_buf), MSG_DONTWAIT);
		int len = (int)got;

		if (got < 0)
			return errno == EINTR ? -EAGAIN : -errno;
		nlh = (struct nlmsghdr *)ct->read_buf;
		for (; mnl_nlmsg_ok(nlh, len); nlh = mnl_nlmsg_next(nlh, &len)) {
			const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);

			if (nlh->nlmsg_seq != seq)
				continue;
			if (nlh->nlmsg_type == NLMSG_ERROR &&
			    mnl_nlmsg_get_payload_len(nlh) < sizeof(*e))
				return -EBADMSG;
			if (nlh->nlmsg_type == NLMSG_ERROR)
				return e->error == -ENOENT ? 0 : e->error;
			if (!dsaa_ct_flow_parse(nlh, out))
				return 0;
			*reply = tuple_equal(&out->reply, t) && !tuple_equal(&out->orig, t);
			return 1;
		}
	}
}

/* ------------------------------------------------------------------ sysctl */

int dsaa_ct_sysctl_read(const char *name)
{
	char path[96], text[16];
	ssize_t n;
	int fd;

	snprintf(path, sizeof(path), SYSCTL_DIR "%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n <= 0)
		return -1;
	text[n] = '\0';
	return atoi(text);
}

bool dsaa_ct_sysctl_write(const char *name, int value)
{
	char path[96], text[16];
	int fd, len = snprintf(text, sizeof(text), "%d\n", value);
	bool ok;

	snprintf(path, sizeof(path), SYSCTL_DIR "%s", name);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	ok = write(fd, text, (size_t)len) == len;
	close(fd);
	return ok;
}

/* Sets NAME to 1 unless it is; *OLD remembers. False when it could not be. */
static bool sysctl_set(const char *name, int *old)
{
	int now = dsaa_ct_sysctl_read(name);

	if (now == 1)
		return true;
	if (!dsaa_ct_sysctl_write(name, 1))
		return false;
	*old = now;
	return true;
}

/* Undoes sysctl_set(), unless somebody has set another value since. */
static void sysctl_put_back(const char *name, int *old)
{
	if (*old >= 0 && dsaa_ct_sysctl_read(name) == 1)
		dsaa_ct_sysctl_write(name, *old);
	*old = -1;
}

void dsaa_ct_sysctl_setup(struct dsaa_ct *ct, char *warning, size_t len)
{
	bool events = sysctl_set("nf_conntrack_events", &ct->old_events);
	/*
	 * While a site cannot be reached, its peers forward the other direction of its connections
	 * themselves. It then sees acknowledgements of data that it never saw, and a strict window
	 * check would call them invalid, and the connection would stall for good.
	 */
	bool liberal = sysctl_set("nf_conntrack_tcp_be_liberal", &ct->old_liberal);

	ct->timestamps = sysctl_set("nf_conntrack_timestamp", &ct->old_timestamp);
	warning[0] = '\0';
	/* 2 (automatic) leaves connections that began before a listener without events */
	if (!events)
		snprintf(warning, len,
			 "nf_conntrack_events could not be set to 1: "
			 "changes of some connections are not seen");
	/* the age of a connection decides conflicts (ownership step 6) */
	else if (!ct->timestamps)
		snprintf(warning, len,
			 "nf_conntrack_timestamp could not be set to 1: "
			 "conflicts are decided by site number only");
	else if (!liberal)
		snprintf(warning, len,
			 "nf_conntrack_tcp_be_liberal could not be set to 1: "
			 "connections may stall when the site-sync link fails");
}

void dsaa_ct_sysctl_restore(struct dsaa_ct *ct)
{
	sysctl_put_back("nf_conntrack_events", &ct->old_events);
	sysctl_put_back("nf_conntrack_timestamp", &ct->old_timestamp);
	sysctl_put_back("nf_conntrack_tcp_be_liberal", &ct->old_liberal);
	ct->timestamps = false;
}

void dsaa_ct_table_size(struct dsaa_ct *ct, uint32_t *count, uint32_t *max)
{
	int c = dsaa_ct_sysctl_read("nf_conntrack_count"),
	    m = dsaa_ct_sysctl_read("nf_conntrack_max");

	(void)ct;
	*count = c > 0 ? (uint32_t)c : 0;
	*max = m > 0 ? (uint32_t)m : 0;
}

const struct dsaa_ct_counters *dsaa_ct_counters(const struct dsaa_ct *ct)
{
	return &ct->counters;
}
