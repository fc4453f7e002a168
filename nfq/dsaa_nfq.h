/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The slow path of correction: queued packets are judged and either let go,
 * dropped, or carried to their owner inside UDP (core/dsaa_encap.h); packets
 * that peers carried here are checked and handed to the stack on the interface
 * where they came in first, by way of a TAP device. Edge: knows core, libmnl and the kernel's
 * interfaces.
 *
 *	queues --> judge --> UDP to the owner, or to every living peer
 *	UDP <- peers --> check --> TAP device --> original interface --> the stack
 *
 * Threads: dsaa_nfq_run() is called by as many as there are queues. The first does
 * everything, and has one of the queues over which the packets of foreign
 * connections are spread; each further one has another of these and does
 * nothing else. They share no data but what is set with atomics.
 * dsaa_nfq_reconfigure, dsaa_nfq_counters, dsaa_nfq_counters_clear and
 * dsaa_nfq_status may be called by any other thread meanwhile; open and close
 * only while none runs.
 *
 * Privileges: dsaa_nfq_open, dsaa_nfq_reconfigure and the thread in
 * dsaa_nfq_run need CAP_NET_ADMIN effective, the last one all the time: the
 * kernel checks the thread that sends a verdict, not the one that opened.
 */
#ifndef DSAA_NFQ_H
#define DSAA_NFQ_H

#include <stdatomic.h>

#include "core/dsaa_addrset.h"
#include "core/dsaa_owner.h"
#include "core/dsaa_packet.h"
#include "core/dsaa_queue.h"
#include "core/dsaa_reason.h"

struct dsaa_nfq;

enum dsaa_nfq_limits {
	DSAA_NFQ_NAME_LEN = 16, /* an interface's name with its NUL */
	DSAA_NFQ_BATCH = 128,	/* packets read, judged and sent in one go */
};

/*
 * What other threads tell the queue thread without a reconfiguration: the
 * state word of each site (enum dsaa_site_word), by site number. A peer is
 * asked for second chance while its word is DSAA_WORD_ALIVE.
 */
struct dsaa_nfq_words {
	_Atomic uint8_t word[DSAA_SITES_MAX + 1];
	_Atomic bool trace; /* tell about each packet, see dsaa_nfq_tell */
};

/* One way to a peer: our sync-address and the peer's, of one family. */
struct dsaa_nfq_link {
	struct dsaa_addr local;
	struct dsaa_addr remote;
	/* the interface that carries LOCAL: packets that come in elsewhere are refused; 0: any */
	unsigned ifindex;
};

struct dsaa_nfq_peer {
	dsaa_site_id site;
	unsigned links; /* the first is used to send; the next, when the kernel refuses it */
	struct dsaa_nfq_link link[DSAA_SITE_SYNC_ADDRESSES_MAX];
};

/* A logical interface; its number on the wire is its place in the table plus one. */
struct dsaa_nfq_iface {
	char name[DSAA_NFQ_NAME_LEN];
	unsigned ifindex; /* 0: not there now */
};

/*
 * Finds the connection of packet P, in either direction, in the kernel's
 * table. Returns 1 with its owner's number (0 = ours) in *OWNER, 0 when there
 * is none, or a negative errno. Called by thread 0.
 */
typedef int (*dsaa_nfq_find)(void *arg, const struct dsaa_packet *p, unsigned *owner);

/*
 * P, which a peer offered as second chance, is of a connection of ours. Called by thread 0, before
 * the packet is processed.
 */
typedef void (*dsaa_nfq_elsewhere)(void *arg, const struct dsaa_packet *p);

/* What happened to a packet. */
struct dsaa_nfq_trace {
	const uint8_t *data; /* from its IP header on */
	size_t len;
	unsigned reason;
	bool from_peer; /* by the tunnel, from site SITE; else it came in by INDEV */
	dsaa_site_id site;
	unsigned indev;
};

/* Called for each packet while words->trace is set, by any thread in dsaa_nfq_run. */
typedef void (*dsaa_nfq_tell)(void *arg, const struct dsaa_nfq_trace *trace);

struct dsaa_nfq_config {
	dsaa_site_id local_site;
	uint16_t queue_base;  /* fixed at open */
	unsigned queues;      /* fixed at open: of each site, 1..DSAA_QUEUE_SPREAD_MAX */
	uint16_t tunnel_port; /* UDP, both ends */
	uint16_t hold_ms;     /* what a packet of unknown connection may wait for its state */
	/*
	 * the kernel's fast path has the port and receives: here packets are only sent, and what it
	 * puts into the TAP device (reassembled IPv6) comes back as fragments
	 */
	bool send_only;
	char tun_name[DSAA_NFQ_NAME_LEN]; /* fixed at open */
	/*
	 * fixed at open: the file descriptor of /dev/net/tun if the caller opened it before
	 * it gave up its privileges, or -1. It is duplicated, and it may be given again after a
	 * close.
	 */
	int tun_device_fd;

	unsigned peers;
	struct dsaa_nfq_peer peer[DSAA_SITES_MAX];
	unsigned ifaces;
	struct dsaa_nfq_iface iface[DSAA_IFACES_MAX];

	unsigned prefixes; /* for which sent packets are counted, by destination */
	struct dsaa_prefix prefix[DSAA_COUNTED_PREFIXES_MAX];

	const struct dsaa_addrset *addresses; /* our own; copied */
	/* fixed at open; borrowed, outlives the object */
	const struct dsaa_nfq_words *words;
	dsaa_nfq_find find;	      /* fixed at open */
	dsaa_nfq_elsewhere elsewhere; /* fixed at open; NULL: nobody asks */
	void *find_arg;
	dsaa_nfq_tell tell; /* fixed at open; NULL: nobody asks */
};

/*
 * Opens queues, tunnel sockets and the TAP device (created when it is not
 * there; it goes when the object is closed, or the process ends). CONFIG is
 * copied. Returns NULL with a sentence in ERR.
 */
struct dsaa_nfq *dsaa_nfq_open(const struct dsaa_nfq_config *config, char *err, size_t errlen);

/* Closes everything. The thread must have left dsaa_nfq_run. NULL is allowed. */
void dsaa_nfq_close(struct dsaa_nfq *nfq);

/*
 * Gives the running thread another configuration, which it takes over before
 * the next packet. False with a sentence in ERR when that is not possible:
 * then the old one stays. A link whose address is not there yet is no error.
 */
bool dsaa_nfq_reconfigure(struct dsaa_nfq *nfq, const struct dsaa_nfq_config *config, char *err,
			  size_t errlen);

/*
 * Serves as thread THREAD (0 .. queues - 1) until STOP_FD becomes readable (0), or something cannot
 * go on: a negative errno.
 */
int dsaa_nfq_run(struct dsaa_nfq *nfq, unsigned thread, int stop_fd);

/*
 * One turn of the loop of thread 0: waits at most TIMEOUT_MS. 1: go on, 0: STOP_FD is readable, or
 * -errno.
 */
int dsaa_nfq_turn(struct dsaa_nfq *nfq, int stop_fd, int timeout_ms);

struct dsaa_nfq_peer_counters {
	uint64_t packets_sent, bytes_sent;	   /* inner IP packets */
	uint64_t packets_received, bytes_received; /* that passed the checks of the tunnel */
};

struct dsaa_nfq_counters {
	/*
	 * packets by enum dsaa_reason; each packet is under exactly one, SEND_FAILED when
	 * it should have gone to a peer and no copy of it could be sent
	 */
	uint64_t reason[DSAA_REASONS_MAX];
	struct dsaa_nfq_peer_counters peer[DSAA_SITES_MAX + 1]; /* by site number */
	uint64_t waiting;    /* packets that wait for their state now */
	uint64_t hold_full;  /* that could not wait for want of room: they were judged at once */
	uint64_t taken_back; /* delivered by the fast path, refused here: by reason */
};

/* A copy of the counters since the last clear. */
void dsaa_nfq_counters(struct dsaa_nfq *nfq, struct dsaa_nfq_counters *out);
void dsaa_nfq_counters_clear(struct dsaa_nfq *nfq);
/* What was sent to a prefix of the configuration in force; zero for any other. */
void dsaa_nfq_prefix_counters(struct dsaa_nfq *nfq, const struct dsaa_prefix *prefix,
			      uint64_t *packets, uint64_t *bytes);

struct dsaa_nfq_status {
	unsigned tun_ifindex;
	unsigned links_ready; /* tunnel sockets that could be bound */
	unsigned links;
	char why[200]; /* what is not as it should be; empty when all is well */
};

void dsaa_nfq_status(struct dsaa_nfq *nfq, struct dsaa_nfq_status *status);

#endif
