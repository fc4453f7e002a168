/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Flows for tests: a plain one, and random ones that are all valid.
 */
#ifndef DSAA_TEST_FLOWS_H
#define DSAA_TEST_FLOWS_H

#include "core/dsaa_flow.h"
#include "tests/unit/test.h"

/* A connection of FAMILY and PROTO that differs by N, without NAT, of site 0. */
static inline struct dsaa_flow flow_make(uint8_t family, uint8_t proto, uint32_t n)
{
	struct dsaa_flow f;

	memset(&f, 0, sizeof(f));
	f.family = family;
	f.proto = proto;
	f.orig.src[0] = family == 4 ? 192 : 0x20;
	f.orig.dst[0] = family == 4 ? 10 : 0x20;
	f.orig.src[3] = 1;
	f.orig.dst[3] = 2;
	f.orig.src[1] = (uint8_t)(n >> 16);
	f.orig.src[2] = (uint8_t)(n >> 24);
	f.orig.sport = (uint16_t)n;
	f.orig.dport = 443;
	if (proto == DSAA_PROTO_ICMP)
		f.orig.dport = 8 << 8;
	if (proto == DSAA_PROTO_ICMPV6)
		f.orig.dport = 128 << 8;
	dsaa_tuple_reverse(proto, &f.orig, &f.reply);
	f.timeout_s = 120;
	return f;
}

static inline void random_addr(uint8_t family, uint8_t addr[16])
{
	unsigned i;

	for (i = 0; i < (family == 4 ? 4 : 16); i++)
		addr[i] = (uint8_t)test_random();
	addr[0] |= 1;
}

/* Gives F some of the rare parts. */
static inline void flow_random_parts(struct dsaa_flow *f)
{
	static const char *const helpers[] = { "ftp", "sip-20000", "a", "fifteen-letters" };
	unsigned which = (unsigned)test_random();

	f->has = which &
		 (DSAA_HAS_MASTER | DSAA_HAS_SEQADJ | DSAA_HAS_LABELS | DSAA_HAS_REPLY_ZONE);
	if (which & 0x100)
		memcpy(f->helper, helpers[which >> 9 & 3], strlen(helpers[which >> 9 & 3]));
	if (f->has & DSAA_HAS_MASTER) {
		f->master_proto = (uint8_t)test_random();
		f->master = f->orig;
		random_addr(f->family, f->master.src);
		f->master.dport = (uint16_t)~f->orig.dport;
	}
	for (unsigned i = 0; f->has & DSAA_HAS_SEQADJ && i < 2; i++)
		f->seqadj[i] = (struct dsaa_seqadj){ (uint32_t)test_random(),
						     (int32_t)test_random(),
						     (int32_t)test_random() };
	for (unsigned i = 0; f->has & DSAA_HAS_LABELS && i < DSAA_LABELS_LEN; i++)
		f->labels[i] = (uint8_t)test_random() | 1;
	if (!(f->has & DSAA_HAS_REPLY_ZONE))
		return;
	if (!f->zone)
		f->zone = 1;
	if (which & 0x1000) {
		f->reply_zone = f->zone;
		f->zone = 0;
	}
}

/* A valid connection of any protocol, half of them with NAT. */
static inline struct dsaa_flow flow_random(void)
{
	static const uint8_t protos[] = { 6, 6, 17, 1, 58, 132, 33, 47, 136, 50, 0, 255 };
	uint8_t proto = protos[test_random() % sizeof(protos)];
	uint8_t family = test_random() % 2 ? 4 : 6;
	struct dsaa_flow f;

	if (proto == DSAA_PROTO_ICMP)
		family = 4;
	if (proto == DSAA_PROTO_ICMPV6)
		family = 6;
	f = flow_make(family, proto, (uint32_t)test_random());
	f.zone = (uint16_t)test_random();
	random_addr(family, f.orig.src);
	random_addr(family, f.orig.dst);
	dsaa_tuple_reverse(proto, &f.orig, &f.reply);
	if (test_random() % 2)
		random_addr(family, f.reply.dst);
	if (test_random() % 4 == 0)
		random_addr(family, f.reply.src);
	if (test_random() % 4 == 0)
		f.reply.sport = (uint16_t)test_random();
	f.status = (uint32_t)test_random() & (DSAA_FLOW_SEEN_REPLY | DSAA_FLOW_ASSURED);
	dsaa_flow_derive_nat(&f);
	f.mark = (uint32_t)test_random();
	f.timeout_s = (uint32_t)test_random();
	f.start_ns = test_random();
	if (proto == DSAA_PROTO_TCP) {
		f.tcp_state = (uint8_t)(test_random() % 10);
		f.tcp_wscale[0] = (uint8_t)(test_random() % 15);
		f.tcp_wscale[1] = (uint8_t)(test_random() % 15);
		f.tcp_flags[0] = (uint8_t)test_random();
		f.tcp_flags[1] = (uint8_t)test_random();
	}
	if (proto == DSAA_PROTO_SCTP) {
		f.sctp_state = (uint8_t)(test_random() % 10);
		f.sctp_vtag[0] = (uint32_t)test_random();
		f.sctp_vtag[1] = (uint32_t)test_random();
	}
	if (proto == DSAA_PROTO_DCCP) {
		f.dccp_state = (uint8_t)(test_random() % 8);
		f.dccp_role = (uint8_t)(test_random() % 2);
		f.dccp_handshake_seq = test_random() >> 16;
	}
	if (test_random() % 4 == 0)
		flow_random_parts(&f);
	return f;
}

#endif
