/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * An expectation: what a helper (FTP, SIP, ...) has read out of a connection,
 * its master, about another one that is to come. The first packet that fits
 * opens that connection, with the NAT that is said here, and uses the
 * expectation up. Key: zone, family, protocol, tuple and mask.
 */
#ifndef DSAA_EXPECT_H
#define DSAA_EXPECT_H

#include "core/dsaa_buf.h"
#include "core/dsaa_flow.h"

enum {
	DSAA_EXPECT_FN_MAX =
		24, /* name of the kernel's function for the new connection, with its NUL */
};

struct dsaa_expect {
	uint8_t family;
	uint8_t proto;
	uint16_t zone;
	struct dsaa_tuple tuple;
	struct dsaa_tuple mask; /* bits of the tuple that count */
	uint8_t master_proto;
	struct dsaa_tuple master; /* its original tuple; same family and zone */
	uint32_t timeout_s;
	uint32_t flags; /* NF_CT_EXPECT_* */
	uint32_t class; /* of the helper */
	bool has_nat;
	uint8_t nat_proto;
	uint32_t nat_dir;	      /* 0 original, 1 reply */
	struct dsaa_tuple nat;	      /* only source address and port mean something */
	char helper[DSAA_HELPER_MAX]; /* empty: the master's */
	char fn[DSAA_EXPECT_FN_MAX];
};

/* True when the keys are equal. */
bool dsaa_expect_key_equal(const struct dsaa_expect *a, const struct dsaa_expect *b);
/* Hash of the key. */
uint64_t dsaa_expect_key_hash(const struct dsaa_expect *x, uint64_t seed);
/* The key of X's master as that of a flow, everything else zero. */
struct dsaa_flow dsaa_expect_master(const struct dsaa_expect *x);
/* Why X cannot be, or NULL; of a deletion (not WHOLE) only the key is looked at. */
const char *dsaa_expect_invalid(const struct dsaa_expect *x, bool whole);

/*
 * One record of an EXPECTS message (section 2.11): with WHOLE everything, else
 * only the key. Reading gives false when it is malformed or cannot be.
 */
void dsaa_expect_write(struct dsaa_writer *w, const struct dsaa_expect *x, bool whole);
bool dsaa_expect_read(struct dsaa_reader *r, struct dsaa_expect *x, bool *whole);

#endif
