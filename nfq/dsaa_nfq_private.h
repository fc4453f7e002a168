/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What the files of nfq/ share. Everything here belongs to one thread in
 * dsaa_nfq_run, except the counters (atomic) and what LOCK protects: each
 * thread has an object of its own.
 */
#ifndef DSAA_NFQ_PRIVATE_H
#define DSAA_NFQ_PRIVATE_H

/* recvmmsg, sendmmsg, struct in6_pktinfo; every file of nfq/ includes this one first */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <netinet/in.h>
#include <linux/netlink.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "core/dsaa_encap.h"
#include "nfq/dsaa_nfq.h"

enum dsaa_nfq_sizes {
	/* one queued packet with its netlink attributes, or one datagram */
	DSAA_NFQ_SLOT = DSAA_PACKET_MAX + 2049,
	/*
	 * nearly all packets fit into so much with their attributes: side by side they stay in the
	 * processor's cache
	 */
	DSAA_NFQ_SMALL = 2048,
	/* datagrams read in one go: each may hold a whole train of equal ones */
	DSAA_NFQ_IN = 16,
	/* the kernel's UDP_MAX_SEGMENTS: equal datagrams that are sent as one */
	DSAA_NFQ_TRAIN = 64,
	/* what such a train may measure in all; a UDP datagram over IPv4 holds 65507 bytes */
	DSAA_NFQ_TRAIN_BYTES = 65000,
	/* the headers of a segment: IPv6, and TCP with all options */
	DSAA_NFQ_HEAD = 40 + 60,
	/* large packets are read so many at a time: they are 1 MB together */
	DSAA_NFQ_LARGE_BATCH = 16,
	/* connections whose segments' length is known (power of two); the bytes of their names */
	DSAA_NFQ_SIZES = 256,
	DSAA_NFQ_SIZE_KEY = 40,
	/* datagrams that wait in one tunnel socket until the batch is judged */
	DSAA_NFQ_OUT = 2 * DSAA_NFQ_BATCH,
	DSAA_NFQ_RCVBUF = 8 << 20,
	/* packets that wait for their state, and the memory that they may take */
	DSAA_NFQ_HELD_MAX = 2048,
	DSAA_NFQ_HELD_BYTES = 8 << 20,
	DSAA_NFQ_SOCKETS_MAX = DSAA_SITES_MAX * DSAA_SITE_SYNC_ADDRESSES_MAX,
};

/* ------------------------------------------------------------------ queues (dsaa_nfq_queue.c) */

/* Which netlink socket a queue is read from: a flood in one does not overflow the others. */
enum dsaa_nfq_lane {
	DSAA_LANE_FOREIGN, /* queues of the sites */
	DSAA_LANE_OFFER,   /* second chance; its packets may wait */
	DSAA_LANE_PEER,	   /* from peers, without entry */
	DSAA_LANE_CUT,	   /* of the sites' queues, what the kernel had to cut */
	DSAA_LANES,
};

/* A queued packet from the moment it is read until its verdict is sent. */
struct dsaa_nfq_packet {
	const uint8_t *data; /* in the receive buffer */
	uint32_t len;
	uint32_t id;
	uint32_t indev;
	uint16_t queue; /* its class: a site number or enum dsaa_queue */
	bool forwarded; /* caught behind routing, which took one from its TTL */
	bool from_site; /* its Ethernet source is a site: delivered on its original interface */
	bool offered;	/* as second chance, by that source */
	bool waited;	/* it has had its time to wait for its state */
	bool held;	/* it waits: no verdict yet */
	bool accept;
	bool large;	/* several segments of the wire in one (GSO) */
	bool unsummed;	/* the checksum of TCP, UDP, ... is still to be made */
	bool was_cut;	/* it came by the second queue */
	bool to_be_cut; /* the kernel has to do it: to the second queue, no verdict yet */
	uint16_t head;	/* of a large packet that is cut here: the length of its headers, */
	uint16_t each;	/* and that of each segment's payload; 0: it is not cut */
	unsigned reason;
	unsigned copies; /* given to tunnel sockets */
	unsigned sent;	 /* of these, taken by the kernel */
};

struct dsaa_nfq_queues {
	uint16_t base;
	unsigned thread; /* whose they are: of the queues of each site, this one */
	int fd[DSAA_LANES];
	bool large; /* there was a large packet among the last */
	/* by class, and whether it is a second queue; the kernel numbers packets one by one */
	uint32_t last_id[DSAA_QUEUE_CLASSES][2];
};

/*
 * Opens and binds all queues of a thread: the first has those of which there is one alone. False
 * with a sentence in ERR.
 */
bool dsaa_nfq_queues_open(struct dsaa_nfq_queues *q, uint16_t base, unsigned thread, char *err,
			  size_t errlen);
void dsaa_nfq_queues_close(struct dsaa_nfq_queues *q);
/* Where packets are read to: a small place for each, and a whole slot behind one for the large. */
struct dsaa_nfq_room {
	_Alignas(64) uint8_t small[DSAA_NFQ_BATCH][DSAA_NFQ_SMALL];
	uint8_t large[DSAA_NFQ_BATCH][DSAA_NFQ_SMALL + DSAA_NFQ_SLOT];
};

/*
 * Reads up to DSAA_NFQ_BATCH packets of a lane into ROOM and PACKETS. Returns
 * how many, 0 when none wait, or a negative errno. Adds to *LOST the packets
 * that the kernel could not hand over.
 */
int dsaa_nfq_queues_read(struct dsaa_nfq_queues *q, enum dsaa_nfq_lane lane,
			 struct dsaa_nfq_room *room, struct dsaa_nfq_packet *packets,
			 uint64_t *lost);
/*
 * Sends the verdicts on PACKETS, which dsaa_nfq_queues_read gave, but for those that are held.
 * SINGLY: while any packet of the lane is held, a verdict must be for one packet alone.
 */
void dsaa_nfq_queues_verdict(struct dsaa_nfq_queues *q, enum dsaa_nfq_lane lane,
			     const struct dsaa_nfq_packet *packets, unsigned count, bool singly);
/*
 * Sends P, of the lane of foreign connections, on to its second queue, to be read there. False when
 * that was not possible: it is dropped.
 */
bool dsaa_nfq_queues_cut(struct dsaa_nfq_queues *q, const struct dsaa_nfq_packet *p);

/* ------------------------------------------------------------------ tunnel (dsaa_nfq_tunnel.c) */

/* One UDP socket per local sync-address; shared by successive configurations. */
struct dsaa_nfq_socket {
	struct dsaa_addr local;
	uint16_t port; /* of the peers' ends, and of this one unless it is for sending only */
	bool send_only;
	unsigned refs; /* under the lock */
	int fd;	       /* -1: could not be bound */
	int error;     /* then why: errno */

	/* longer datagrams are not sent as trains: the way's MTU forbids it */
	size_t train_max;

	/* datagrams waiting to be sent */
	unsigned waiting;
	struct iovec iov[DSAA_NFQ_OUT][2];
	/* of a segment that was cut here, with its own headers behind it */
	uint8_t header[DSAA_NFQ_OUT][DSAA_ENCAP_LEN + DSAA_NFQ_HEAD];
	struct {
		struct dsaa_nfq_packet *packet;
		const struct dsaa_nfq_peer *peer;
		unsigned link;
		struct sockaddr_storage *to; /* in the plan, which stays until the batch is sent */
	} what[DSAA_NFQ_OUT];
};

/* A datagram as it came in, or a train of them, one behind the other. */
struct dsaa_nfq_datagram {
	const uint8_t *data;
	size_t len;
	size_t each; /* the length of each but the last, which may be shorter */
	struct dsaa_addr source;
	unsigned ifindex; /* 0: unknown */
};

/* Opens the socket of a local address; NULL only without memory. */
struct dsaa_nfq_socket *dsaa_nfq_socket_open(const struct dsaa_addr *local, uint16_t port,
					     bool send_only);
void dsaa_nfq_socket_close(struct dsaa_nfq_socket *s);
/* The address of a peer's end in the kernel's form; returns its length. */
socklen_t dsaa_nfq_sockaddr(struct sockaddr_storage *out, const struct dsaa_addr *a, uint16_t port);
/* Reads up to DSAA_NFQ_IN datagrams (or trains) into ROOM; how many, or a negative errno. */
int dsaa_nfq_socket_read(struct dsaa_nfq_socket *s, struct dsaa_nfq_room *room,
			 struct dsaa_nfq_datagram *datagrams);

/* ------------------------------------------------------------------ joining (dsaa_nfq_join.c) */

enum {
	DSAA_NFQ_JOIN_MAX = 64,
};

/*
 * Segments of a TCP connection that followed each other on the wire, to be
 * given to the stack as the one large packet that a network card would make
 * of them. Empty while COUNT is 0.
 */
struct dsaa_nfq_join {
	unsigned count;
	bool closed;	/* nothing may follow */
	uint8_t *first; /* the first segment, with its headers */
	size_t head;	/* length of these */
	size_t ip;	/* of the IP header among them */
	size_t each;	/* payload of each segment but the last */
	size_t payload; /* of all */
	uint32_t next_seq;
	bool push;			      /* the last one said PSH */
	struct iovec data[DSAA_NFQ_JOIN_MAX]; /* the payloads */
};

/* Takes the packet of LEN bytes at IP if it can be the first or the next one. */
bool dsaa_nfq_join_add(struct dsaa_nfq_join *j, uint8_t *ip, size_t len);
/*
 * Writes the headers of the large packet made of two segments or more into
 * HEAD; the checksum that TCP's header holds then is that of the pseudo-header
 * alone. Returns their length.
 */
size_t dsaa_nfq_join_head(const struct dsaa_nfq_join *j, uint8_t head[DSAA_NFQ_HEAD]);

/* ------------------------------------------------------------------ steering (dsaa_nfq_steer.c) */

/* What sends the frames in the TAP device on to their original interfaces. */
struct dsaa_nfq_steer {
	bool qdisc;
	unsigned to[DSAA_IFACES_MAX]; /* ifindex by logical interface; 0: they stay */
	char why[128];		      /* what could not be set up; empty when all is well */
};

/* Puts up a filter for each Ethernet interface of C that is there, on the device DEVICE. */
void dsaa_nfq_steer_apply(struct dsaa_nfq_steer *s, unsigned device,
			  const struct dsaa_nfq_config *c);
/* Sends MSG, in a buffer of LEN bytes, by rtnetlink and takes the answer. 0 or -1 with errno. */
int dsaa_nfq_rtnetlink(struct nlmsghdr *msg, size_t len);

/* ------------------------------------------------------------------ TAP (dsaa_nfq_tun.c) */

/* Where a packet came in first: tells frames in the TAP device apart. */
struct dsaa_nfq_origin {
	uint8_t iface; /* logical interface */
	dsaa_site_id site;
	bool offered; /* as second chance */
};

struct dsaa_nfq_tun {
	int fd;
	unsigned ifindex;
	char name[DSAA_NFQ_NAME_LEN];
	char why[128]; /* what could not be set up; empty when all is well */

	struct dsaa_nfq_join join;     /* segments that wait to be written as one packet */
	struct dsaa_nfq_origin origin; /* of what is written now, and of these segments */
	uint64_t delivered, failed;    /* packets since somebody set them to 0 */
};

/* Creates the device and sets it up; false with a sentence in ERR. */
bool dsaa_nfq_tun_open(struct dsaa_nfq_tun *tun, const char *name, int device_fd, char *err,
		       size_t errlen);
void dsaa_nfq_tun_close(struct dsaa_nfq_tun *tun);
/*
 * Hands one IP packet to the stack, at the latest in dsaa_nfq_tun_flush(): until then DATA stays
 * where it is. It may be changed. MTU is that of the interface it came in from: a longer packet
 * was put together from fragments, and goes on as fragments.
 */
void dsaa_nfq_tun_deliver(struct dsaa_nfq_tun *tun, struct dsaa_nfq_origin origin, uint8_t *data,
			  size_t len, unsigned mtu);
void dsaa_nfq_tun_flush(struct dsaa_nfq_tun *tun);
/* Reads what the fast path put into the device, by way of BUF (one slot), and hands it back cut. */
void dsaa_nfq_tun_serve(struct dsaa_nfq_tun *tun, uint8_t *buf);

/* ------------------------------------------------------------------ waiting (dsaa_nfq_hold.c) */

/* A packet that waits for the state of its connection; the kernel keeps the packet itself. */
struct dsaa_nfq_held {
	struct dsaa_nfq_packet packet; /* its data is a copy, owned */
	uint64_t since_ms, due_ms;     /* when it came, when it is judged at the latest */
	uint64_t look_ms;	       /* when its entry is looked for next */
	bool over;		       /* it waits no longer */
	struct dsaa_packet parsed;     /* tells its connection */
};

struct dsaa_nfq_hold {
	unsigned count;
	size_t bytes;
	struct dsaa_nfq_held held[DSAA_NFQ_HELD_MAX];
};

/* ------------------------------------------------------------------ cutting (dsaa_nfq_cut.c) */

/* How long the segments of a connection are. */
struct dsaa_nfq_size {
	uint8_t key[DSAA_NFQ_SIZE_KEY];
	uint16_t each;	   /* payload of a segment */
	uint64_t until_ms; /* then the kernel has to tell again */
};

/* ------------------------------------------------------------------ the object (dsaa_nfq.c) */

/* An immutable configuration; the queue thread uses one at a time. */
struct dsaa_nfq_plan {
	struct dsaa_nfq_config config;
	struct dsaa_addrset addresses;
	unsigned mtu[DSAA_IFACES_MAX];
	const struct dsaa_nfq_peer *peer_of[DSAA_SITES_MAX + 1];

	unsigned sockets; /* distinct local addresses */
	struct dsaa_nfq_socket *socket[DSAA_NFQ_SOCKETS_MAX];
	/* the peer's end and the socket of each link of each peer, as in CONFIG */
	struct sockaddr_storage remote[DSAA_SITES_MAX][DSAA_SITE_SYNC_ADDRESSES_MAX];
	struct dsaa_nfq_socket *of_link[DSAA_SITES_MAX][DSAA_SITE_SYNC_ADDRESSES_MAX];
	uint16_t counted[DSAA_COUNTED_PREFIXES_MAX]; /* the place of each prefix */
};

/* Counters as they are kept; the view is made of them. */
struct dsaa_nfq_tally {
	_Atomic uint64_t reason[DSAA_REASONS_MAX];
	_Atomic uint64_t taken_back; /* delivered, then refused behind the TAP device */
	_Atomic uint64_t waiting, hold_full;
	struct {
		_Atomic uint64_t packets_sent, bytes_sent, packets_received, bytes_received;
	} peer[DSAA_SITES_MAX + 1];
};

/* What was sent for one prefix (dsaa_nfq_prefix.c); family 0: a free place. */
struct dsaa_nfq_counted {
	struct dsaa_prefix prefix; /* under the lock */
	_Atomic uint64_t packets, bytes;
};

struct dsaa_nfq {
	struct dsaa_nfq_queues queues;
	struct dsaa_nfq_tun tun;
	struct dsaa_nfq_steer steer; /* of the thread that configures */
	const struct dsaa_nfq_words *words;
	dsaa_nfq_find find;
	dsaa_nfq_elsewhere elsewhere;
	void *find_arg;
	dsaa_nfq_tell tell;
	int wake_fd; /* eventfd: a plan waits */

	struct dsaa_nfq_plan *plan; /* the thread's */
	pthread_mutex_t lock;
	struct dsaa_nfq_plan *next;    /* under the lock: to be taken over */
	struct dsaa_nfq_status status; /* under the lock */

	struct dsaa_nfq_tally tally;
	struct dsaa_nfq_counted counted[DSAA_COUNTED_PREFIXES_MAX];
	struct dsaa_nfq_hold *hold;
	struct dsaa_nfq_room *room;
	/* for the packets of lane CUT, which are read while those of another wait in ROOM */
	struct dsaa_nfq_room *cut_room;
	struct dsaa_nfq_size size[DSAA_NFQ_SIZES];
	/*
	 * of the first: those of the other threads, which have neither TAP device nor packets that
	 * wait
	 */
	struct dsaa_nfq *further[DSAA_QUEUE_SPREAD_MAX - 1];
	unsigned furthers;
	bool is_further;
	struct dsaa_nfq_packet packets[DSAA_NFQ_BATCH];
	struct dsaa_nfq_packet cut_packets[DSAA_NFQ_BATCH];
	struct dsaa_nfq_datagram datagrams[DSAA_NFQ_IN];
};

static inline void dsaa_nfq_add(_Atomic uint64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

static inline enum dsaa_site_word dsaa_nfq_word(const struct dsaa_nfq *nfq, unsigned site)
{
	return atomic_load_explicit(&nfq->words->word[site], memory_order_relaxed);
}

static inline bool dsaa_nfq_traced(const struct dsaa_nfq *nfq)
{
	return nfq->tell && atomic_load_explicit(&nfq->words->trace, memory_order_relaxed);
}

/* The length that an IP header (all of which is there) says. */
static inline uint32_t dsaa_nfq_ip_length(const uint8_t *ip)
{
	return ip[0] >> 4 == 4 ? (uint32_t)ip[2] << 8 | ip[3] : 40 + ((uint32_t)ip[4] << 8 | ip[5]);
}

/*
 * dsaa_nfq_out.c: judges N queued packets, sends copies, sets verdicts. Returns how many: it ends
 * before one that is to be cut.
 */
unsigned dsaa_nfq_judge(struct dsaa_nfq *nfq, struct dsaa_nfq_packet *packets, unsigned n);
/* The entry of the packet's connection: 1 with its owner, 0 without one, or a negative errno. */
int dsaa_nfq_find_entry(struct dsaa_nfq *nfq, const struct dsaa_nfq_packet *p, unsigned *owner);

/*
 * dsaa_nfq_cut.c: P can be sent on afterwards: it is whole, with its checksum, or large with the
 * length of its segments in P->each. False: the kernel has to cut it.
 */
bool dsaa_nfq_cut_prepare(struct dsaa_nfq *nfq, struct dsaa_nfq_packet *p);
/*
 * Writes the headers of the segment of the large packet P whose payload begins AT behind its
 * headers, P->head bytes, into HEAD. Returns the length of the segment's payload.
 */
size_t dsaa_nfq_cut_segment(const struct dsaa_nfq_packet *p, size_t at,
			    uint8_t head[DSAA_NFQ_HEAD]);
/* P was cut by the kernel: remembers how long it is. */
void dsaa_nfq_cut_learn(struct dsaa_nfq *nfq, const struct dsaa_nfq_packet *p);

/* dsaa_nfq_hold.c: milliseconds of a clock that never jumps. */
uint64_t dsaa_nfq_now_ms(void);
/* Keeps a copy of P to be judged later; false when there is no room. */
bool dsaa_nfq_hold_add(struct dsaa_nfq *nfq, struct dsaa_nfq_packet *p);
/* Judges the packets whose time is over, or whose entry has come. */
void dsaa_nfq_hold_serve(struct dsaa_nfq *nfq);
/* Milliseconds until there is something to do for it, at most TIMEOUT_MS; -1: nothing, ever. */
int dsaa_nfq_hold_timeout(const struct dsaa_nfq *nfq, int timeout_ms);
/* Forgets all that wait: the kernel drops them when the queues close. */
void dsaa_nfq_hold_clear(struct dsaa_nfq *nfq);

/* dsaa_nfq_in.c: checks COUNT datagrams of nfq->datagrams that came in by S, and delivers. */
void dsaa_nfq_receive(struct dsaa_nfq *nfq, const struct dsaa_nfq_socket *s, unsigned count);

/* dsaa_nfq_prefix.c: gives each prefix of the plan its place; under the lock. */
void dsaa_nfq_prefix_plan(struct dsaa_nfq *nfq, struct dsaa_nfq_plan *plan);
/* The packet at IP, LEN bytes long and with a whole header, was sent. The queue thread. */
void dsaa_nfq_prefix_count(struct dsaa_nfq *nfq, const uint8_t *ip, size_t len);
void dsaa_nfq_prefix_clear(struct dsaa_nfq *nfq);

#endif
