/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sync protocol's messages: field-by-field encoding and decoding.
 * Specification: doc/protocol/sync.rst. All integers are big endian.
 *
 * A message is decoded whole or refused whole: a decoder writes nothing that
 * its caller may use unless it returns DSAA_R_NONE.
 */
#ifndef DSAA_WIRE_H
#define DSAA_WIRE_H

#include "core/dsaa_expect.h"
#include "core/dsaa_flow.h"
#include "core/dsaa_lines.h"
#include "core/dsaa_reason.h"

#define DSAA_WIRE_MAGIC 0xd5aa
#define DSAA_WIRE_MAJOR 1
#define DSAA_WIRE_MINOR 2

/* Message types. Types >= 128 may be skipped by a receiver that does not know them. */
enum dsaa_msg_type {
	DSAA_MSG_HELLO = 1,
	DSAA_MSG_REFUSE = 2,
	DSAA_MSG_KEEPALIVE = 3,
	DSAA_MSG_FLOWS = 4,
	DSAA_MSG_ACK = 5,
	DSAA_MSG_BULK_BEGIN = 6,
	DSAA_MSG_BULK_FLOWS = 7,
	DSAA_MSG_BULK_END = 8,
	DSAA_MSG_BULK_DONE = 9,
	DSAA_MSG_BULK_REQUEST = 10,
	DSAA_MSG_GOODBYE = 11,
	DSAA_MSG_AUDIT_BEGIN = 12,
	DSAA_MSG_AUDIT_HASHES = 13,
	DSAA_MSG_AUDIT_END = 14,
	DSAA_MSG_AUDIT_WANT = 15,
	DSAA_MSG_AUDIT_FLOWS = 16,
	DSAA_MSG_RESUME = 17, /* since 1.1 */
	DSAA_MSG_SKIPPABLE = 128,
	DSAA_MSG_HANDOVER = 128,     /* since 1.1; one that does not know it does not take over */
	DSAA_MSG_EXPECTS = 129,	     /* since 1.1 */
	DSAA_MSG_AUDIT_STATES = 130, /* since 1.1, in place of AUDIT_HASHES */
	DSAA_MSG_LINES = 131,	     /* since 1.1; told to anybody, nothing depends on it */
	DSAA_MSG_AUDIT_BUSY = 132,   /* since 1.1; who does not know it comes with its next audit */
	DSAA_MSG_SKIPPED = 255,	     /* never sent: one that is known, but not with such flags */
};

/* Bits of the HELLO's capabilities: what the sender can do, of the newer minor versions. */
#define DSAA_CAP_RESUME	  (UINT64_C(1) << 0) /* a session that goes on where the last one ended */
#define DSAA_CAP_SERVES	  (UINT64_C(1) << 1) /* no ability: the sender's state is complete */
#define DSAA_CAPABILITIES DSAA_CAP_RESUME

enum dsaa_record_op {
	DSAA_OP_UPSERT = 1,
	DSAA_OP_DELETE = 2, /* only the key travels */
};

struct dsaa_record {
	uint8_t op; /* enum dsaa_record_op */
	uint64_t seq;
	struct dsaa_flow flow;
};

/* First message of both ends. Names both sites, so that neither can be mistaken. */
struct dsaa_msg_hello {
	uint8_t major;
	uint8_t minor;
	dsaa_site_id from;
	dsaa_site_id to;
	uint32_t cluster_id;
	uint64_t capabilities;
	uint64_t epoch;		/* of the sender, grows at each restart or adoption */
	uint64_t config_digest; /* of the dsaa block; 0 = not told */
	uint32_t hold_time_ms;
	uint64_t known_epoch; /* the receiver's epoch and sequence that the sender has applied */
	uint64_t known_seq;   /* ... both 0 when it needs everything */
};

struct dsaa_msg_refuse {
	uint16_t reason; /* enum dsaa_reason, 1..31; unknown numbers stay as they are */
};

struct dsaa_msg_keepalive {
	uint8_t state_complete; /* 0 or 1: does the sender announce its routes */
	uint8_t draining;	/* 0 or 1 */
};

struct dsaa_msg_flows {
	uint64_t epoch;
	uint32_t bulk_id;	     /* BULK_FLOWS, and of the audit AUDIT_FLOWS; else 0 */
	uint16_t count;		     /* 1..DSAA_FLOWS_PER_MSG_MAX */
	struct dsaa_record *records; /* decoding: array of the caller with room for the maximum */
};

/* Confirms, cumulatively, what the kernel of the sender of this message holds. */
struct dsaa_msg_ack {
	uint64_t epoch;	   /* of the owner whose records are confirmed */
	uint64_t seq;	   /* everything up to and including this one was handled */
	uint64_t applied;  /* in this session */
	uint64_t rejected; /* in this session */
};

/* Instead of a bulk: the receiver holds everything, but for what changed behind FROM. */
struct dsaa_msg_resume {
	uint64_t from; /* sequence of the last change that it has */
	uint64_t to;   /* ... and of the last one that there was */
};

struct dsaa_msg_bulk {
	uint32_t bulk_id;
	uint64_t count;	   /* END: flows sent; DONE: flows handled */
	uint64_t digest;   /* END: XOR of key hashes sent; DONE: of flows handled */
	uint64_t rejected; /* DONE: handled, but not in the kernel (conflicts not counted) */
};

/* What the sender is set up with, as lines to compare. */
struct dsaa_msg_lines {
	uint8_t kind; /* enum dsaa_lines_kind; others are of newer versions */
	uint8_t cut;  /* 0 or 1: there are more lines than TEXT has */
	uint64_t digest;
	const char *text; /* decoding: inside of the message */
	uint16_t len;	  /* at most DSAA_LINES_MAX */
};

/*
 * Hashes of keys (dsaa_flow_key_hash with DSAA_DIGEST_SEED) that an audit
 * names; STATES has a digest of the state (dsaa_flow_state_digest with the
 * audit's number as seed) with each.
 */
struct dsaa_msg_hashes {
	uint32_t audit_id;
	/* HASHES, WANT: 1..DSAA_HASHES_PER_MSG_MAX; STATES: 1..DSAA_STATES_PER_MSG_MAX; BEGIN,
	 * END: 0 */
	uint16_t count;
	uint8_t stride;		/* decoding: bytes of one */
	const uint8_t *bytes;	/* decoding: borrowed from the message; see dsaa_wire_hash() */
	const uint64_t *list;	/* encoding: of the caller */
	const uint32_t *states; /* encoding STATES: of the caller */
};

/* What helpers of the sender expect (dsaa_expect.h), or do no longer. */
struct dsaa_msg_expects {
	uint64_t epoch;
	uint8_t reset;	      /* 1: nothing else of the sender is expected */
	uint16_t count;	      /* 0..DSAA_EXPECTS_PER_MSG_MAX; 0 only with reset */
	const uint8_t *bytes; /* decoding: checked records for dsaa_expect_read(), borrowed */
	size_t len;
	const struct dsaa_expect *const *list; /* encoding: of the caller */
	const bool *whole;
};

struct dsaa_msg_goodbye {
	uint16_t reason;
};

struct dsaa_msg_handover {
	uint64_t count; /* how many connections the sender counted; for information */
};

struct dsaa_msg {
	uint8_t type;
	union {
		struct dsaa_msg_hello hello;
		struct dsaa_msg_refuse refuse;
		struct dsaa_msg_keepalive keepalive;
		struct dsaa_msg_flows flows; /* FLOWS, BULK_FLOWS, AUDIT_FLOWS */
		struct dsaa_msg_ack ack;
		struct dsaa_msg_bulk bulk; /* BEGIN (only bulk_id), END, DONE */
		struct dsaa_msg_goodbye goodbye;
		struct dsaa_msg_resume resume;
		struct dsaa_msg_expects expects;
		struct dsaa_msg_hashes hashes; /* AUDIT_BEGIN, HASHES, STATES, END, WANT, BUSY */
		struct dsaa_msg_handover handover;
		struct dsaa_msg_lines lines;
	};
};

/*
 * Encodes M with its header into BUF of CAP bytes. Returns the length, or 0
 * when it does not fit. The FLOWS go through the writer below.
 */
size_t dsaa_wire_encode(uint8_t *buf, size_t cap, const struct dsaa_msg *m);

/* The hash number I of a decoded message. */
uint64_t dsaa_wire_hash(const struct dsaa_msg_hashes *h, unsigned i);
/* The digest of the state beside it, of AUDIT_STATES only. */
uint32_t dsaa_wire_state(const struct dsaa_msg_hashes *h, unsigned i);

/* Builds a FLOWS, BULK_FLOWS or AUDIT_FLOWS message record by record. */
struct dsaa_flows_writer {
	uint8_t *buf;
	size_t cap;
	size_t len;
	uint16_t count;
};
/* Starts one in BUF (at least DSAA_MSG_HEADER_LEN + 16 + DSAA_RECORD_LEN_MAX bytes). */
void dsaa_wire_flows_begin(struct dsaa_flows_writer *w, uint8_t *buf, size_t cap, uint8_t type,
			   uint64_t epoch, uint32_t bulk_id);
/* Appends a record; false when the message is full (send it, start another). */
bool dsaa_wire_flows_add(struct dsaa_flows_writer *w, const struct dsaa_record *r);
/* Finishes it; returns its length, or 0 when it holds no record. */
size_t dsaa_wire_flows_end(struct dsaa_flows_writer *w);

/*
 * Looks at the LEN bytes received so far. Returns 0 when more bytes are
 * needed, the whole message's length when it is there, or -1 with *REASON
 * when this can never become a message (bad magic, too long).
 */
long dsaa_wire_frame(const uint8_t *buf, size_t len, unsigned *reason);

/* The type of a message that dsaa_wire_frame() has found whole. */
unsigned dsaa_wire_type(const uint8_t *buf);
/* As the specification writes it; "?" for one that is not known. */
const char *dsaa_wire_type_name(unsigned type);

/*
 * Decodes one whole message (header included, LEN from dsaa_wire_frame) into
 * M. RECORDS has room for DSAA_FLOWS_PER_MSG_MAX. Returns DSAA_R_NONE, or
 * DSAA_R_MALFORMED or DSAA_R_BAD_FLOW; an unknown skippable type
 * returns DSAA_R_NONE with m->type as received (>= 128).
 */
unsigned dsaa_wire_decode(const uint8_t *buf, size_t len, struct dsaa_msg *m,
			  struct dsaa_record *records);

#endif
