/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Mark bits, the rule for two creators, and every combination of a packet's facts. */
#include "core/dsaa_owner.h"
#include "core/dsaa_reason.h"
#include "tests/unit/flows.h"

static const uint32_t masks[] = { 0xff000000, 0x0000000f, 0x0000ffff, 0xffff0000,
				  0xf0000000, 0x00ff0000, 0x000001f0, 0x07f80000 };

static void test_mask(void)
{
	for (unsigned low = 0; low < 32; low++) {
		for (unsigned bits = 0; bits <= 32 - low; bits++) {
			uint32_t mask = (uint32_t)(((UINT64_C(1) << bits) - 1) << low);

			CHECK(dsaa_mark_mask_valid(mask) == (bits >= 4 && bits <= 16));
			/* with a hole in it */
			if (bits >= 3)
				CHECK(!dsaa_mark_mask_valid(mask & ~(2u << low)));
		}
	}
	CHECK(dsaa_mark_mask_valid(DSAA_MARK_MASK_DEFAULT));
	CHECK(dsaa_mark_sites_max(0xf) == 15 && dsaa_mark_sites_max(0x1f) == 16);
	CHECK(dsaa_mark_sites_max(0xff000000) == 16 && dsaa_mark_sites_max(0xffff) == 16);
	CHECK(dsaa_mark_sites_max(0) == 0 && dsaa_mark_owner(~0u, 0) == 0);
	CHECK(dsaa_mark_set_owner(5, 0, 3) == 5);
}

static void test_mark(void)
{
	for (unsigned m = 0; m < sizeof(masks) / sizeof(masks[0]); m++) {
		for (unsigned site = 0; site <= dsaa_mark_sites_max(masks[m]); site++) {
			uint32_t mark = (uint32_t)test_random();
			uint32_t with = dsaa_mark_set_owner(mark, masks[m], site);

			CHECK(dsaa_mark_owner(with, masks[m]) == site);
			CHECK((with & ~masks[m]) == (mark & ~masks[m]));
			CHECK(dsaa_mark_set_owner(with, masks[m], 0) == (mark & ~masks[m]));
		}
		/* a number too big touches no bit outside the mask */
		CHECK(dsaa_mark_set_owner(0, masks[m], ~0u) == masks[m]);
	}
}

static bool sender_won(enum dsaa_owner_decision d)
{
	return d == DSAA_OWNER_TAKE || d == DSAA_OWNER_REPLACE;
}

/*
 * Both sites made the same connection; each hears of the other's. Over all
 * combinations exactly one of them keeps its own.
 */
static void test_symmetry(void)
{
	static const uint64_t starts[] = { 0, 1, 2, 1000, UINT64_MAX };
	enum { N = sizeof(starts) / sizeof(starts[0]) };

	for (unsigned m = 0; m < sizeof(masks) / sizeof(masks[0]); m++)
		for (unsigned n = 0; n < 2 * 2 * N * N * 2 * 2; n++) {
			struct dsaa_flow a = flow_make(4, DSAA_PROTO_UDP, 1), b = a;
			dsaa_site_id site_a = n & 1 ? 3 : 7, site_b = n & 1 ? 7 : 3;
			enum dsaa_owner_decision at_a, at_b;
			unsigned rest = n / 8;

			a.status = n & 2 ? DSAA_FLOW_ASSURED : 0;
			b.status = n & 4 ? DSAA_FLOW_ASSURED : 0;
			a.start_ns = starts[rest % N];
			b.start_ns = starts[rest / N % N];
			if (rest / N / N % 2) /* found by the reply tuple: the key differs */
				b.orig.sport++;
			a.mark = dsaa_mark_set_owner(0x55555555, masks[m], 0);
			b.mark = dsaa_mark_set_owner(0xaaaaaaaa, masks[m], 0);
			at_a = dsaa_owner_decide(&a, &b, masks[m], site_b, site_a);
			at_b = dsaa_owner_decide(&b, &a, masks[m], site_a, site_b);
			CHECK(at_a != DSAA_OWNER_REFUSE && at_b != DSAA_OWNER_REFUSE);
			CHECK(sender_won(at_a) != sender_won(at_b));
			CHECK((at_a == DSAA_OWNER_KEEP) != (at_b == DSAA_OWNER_KEEP));
			if (sender_won(at_a))
				CHECK((at_a == DSAA_OWNER_TAKE) == dsaa_flow_key_equal(&a, &b));
		}
}

/* Entry number N of those that three sites may have created; the site is the caller's. */
static struct dsaa_flow created(unsigned n)
{
	static const uint64_t starts[] = { 0, 5, 9 };
	struct dsaa_flow f = flow_make(4, DSAA_PROTO_UDP, 1);

	f.status = (n & 1 ? DSAA_FLOW_ASSURED : 0) | (n & 2 ? DSAA_FLOW_SNAT : 0);
	f.start_ns = starts[n / 4];
	return f;
}

static bool beats(const struct dsaa_flow *a, dsaa_site_id of_a, const struct dsaa_flow *b,
		  dsaa_site_id of_b)
{
	return dsaa_owner_decide(b, a, DSAA_MARK_MASK_DEFAULT, of_a, of_b) != DSAA_OWNER_KEEP;
}

/* Of three creators, one beats both others: nobody gives up in favour of who gives up. */
static void test_three_creators(void)
{
	enum { KINDS = 12 };

	for (unsigned n = 0; n < KINDS * KINDS * KINDS; n++) {
		struct dsaa_flow a = created(n % KINDS), b = created(n / KINDS % KINDS),
				 c = created(n / KINDS / KINDS);
		bool ab = beats(&a, 1, &b, 2), bc = beats(&b, 2, &c, 3), ca = beats(&c, 3, &a, 1);

		CHECK(!(ab && bc && ca) && (ab || bc || ca));
	}
}

static void test_steps(void)
{
	const uint32_t mask = DSAA_MARK_MASK_DEFAULT;
	struct dsaa_flow have = flow_make(4, DSAA_PROTO_TCP, 1), in = have, other = have;

	other.orig.sport++;
	/* step 1 */
	have.mark = dsaa_mark_set_owner(1, mask, 2);
	CHECK(dsaa_owner_decide(&have, &in, mask, 2, 1) == DSAA_OWNER_TAKE);
	CHECK(dsaa_owner_decide(&have, &other, mask, 2, 1) == DSAA_OWNER_REPLACE);
	/* step 2 */
	CHECK(dsaa_owner_decide(&have, &in, mask, 3, 1) == DSAA_OWNER_REFUSE);
	/* nobody speaks for us or for nobody */
	CHECK(dsaa_owner_decide(&have, &in, mask, 1, 1) == DSAA_OWNER_REFUSE);
	CHECK(dsaa_owner_decide(&have, &in, mask, 0, 1) == DSAA_OWNER_REFUSE);
	/* step 3, against the steps behind it */
	have.mark = 1;
	have.start_ns = 5;
	in.start_ns = 9;
	in.status = DSAA_FLOW_ASSURED;
	have.status = DSAA_FLOW_SNAT;
	CHECK(dsaa_owner_decide(&have, &in, mask, 2, 1) == DSAA_OWNER_TAKE);
	/* step 4, against the steps behind it */
	in.status = DSAA_FLOW_DNAT;
	have.status = 0;
	CHECK(dsaa_owner_decide(&have, &in, mask, 2, 1) == DSAA_OWNER_TAKE);
	have.status = DSAA_FLOW_ASSURED;
	CHECK(dsaa_owner_decide(&have, &in, mask, 1, 2) == DSAA_OWNER_KEEP);
	/* step 6, against step 7 */
	in.status = DSAA_FLOW_ASSURED;
	CHECK(dsaa_owner_decide(&have, &in, mask, 1, 2) == DSAA_OWNER_KEEP);
	in.start_ns = 4;
	CHECK(dsaa_owner_decide(&have, &in, mask, 2, 1) == DSAA_OWNER_TAKE);
	/* not known loses, also to a later one, and at both sites */
	in.start_ns = 0;
	CHECK(dsaa_owner_decide(&have, &in, mask, 1, 2) == DSAA_OWNER_KEEP);
	CHECK(dsaa_owner_decide(&in, &have, mask, 2, 1) == DSAA_OWNER_TAKE);
	/* step 7 */
	in.start_ns = 5;
	CHECK(dsaa_owner_decide(&have, &in, mask, 2, 1) == DSAA_OWNER_KEEP);
	CHECK(dsaa_owner_decide(&have, &in, mask, 1, 2) == DSAA_OWNER_TAKE);
	/* our own number in the mark is ours as well */
	have.mark = dsaa_mark_set_owner(1, mask, 1);
	CHECK(dsaa_owner_decide(&have, &in, mask, 2, 1) == DSAA_OWNER_KEEP);
	/* step 5, against steps 6 and 7: in a split, packets came there */
	in.start_ns = 4;
	CHECK(dsaa_owner_decide(&have, &in, mask, 2, 1) == DSAA_OWNER_KEEP);
	in.has = DSAA_HAS_ON_DEMAND;
	CHECK(dsaa_owner_decide(&have, &in, mask, 2, 1) == DSAA_OWNER_TAKE);
	in.start_ns = 9;
	CHECK(dsaa_owner_decide(&have, &in, mask, 2, 1) == DSAA_OWNER_KEEP);
	have.mark = 1;
	CHECK(dsaa_owner_decide(&have, &in, mask, 2, 1) == DSAA_OWNER_TAKE);
}

/* What the specification's rules say, written once more in another way. */
static unsigned expected(const struct dsaa_packet_facts *f, enum dsaa_verdict *v)
{
	bool entry = f->class == DSAA_PKT_HAS_ENTRY;
	bool ours = entry && (f->owner == 0 || f->word == DSAA_WORD_ADOPTED);

	if (f->refused) {
		bool carried = entry && f->owner != 0 && f->word == DSAA_WORD_ALIVE;
		bool passed = !f->from_peer && !f->to_router &&
			      (carried || (!entry && f->any_peer_alive));

		*v = !passed	 ? DSAA_VERDICT_DROP :
		     carried	 ? DSAA_VERDICT_CORRECT :
		     f->may_wait ? DSAA_VERDICT_HOLD :
				   DSAA_VERDICT_OFFER;
		return !passed	   ? DSAA_R_REFUSED :
		       carried	   ? DSAA_R_FOREIGN :
		       f->may_wait ? DSAA_R_HELD :
				     DSAA_R_OFFERED_POLICY;
	}
	if (f->from_peer) {
		*v = ours ? DSAA_VERDICT_LOCAL : DSAA_VERDICT_DROP;
		return ours		? DSAA_R_RX_DELIVERED :
		       entry		? DSAA_R_RX_LOOP :
		       f->second_chance ? DSAA_R_RX_NOT_OURS :
					  DSAA_R_RX_OPENS;
	}
	*v = DSAA_VERDICT_LOCAL;
	if (f->to_router)
		return DSAA_R_TO_ROUTER;
	if (entry && f->owner != 0 && f->word == DSAA_WORD_ALIVE) {
		*v = DSAA_VERDICT_CORRECT;
		return DSAA_R_FOREIGN;
	}
	if (entry && f->owner != 0 && f->word == DSAA_WORD_UNREACHABLE) {
		*v = DSAA_VERDICT_DROP;
		return DSAA_R_OWNER_UNREACHABLE;
	}
	if (entry)
		return f->owner != 0 && f->word == DSAA_WORD_ADOPTED ? DSAA_R_ADOPTED :
								       DSAA_R_LOCAL;
	if (f->class == DSAA_PKT_NEW) {
		*v = DSAA_VERDICT_NEW;
		return DSAA_R_OPENS;
	}
	if (!f->any_peer_alive)
		return DSAA_R_NO_PEER;
	*v = f->may_wait ? DSAA_VERDICT_HOLD : DSAA_VERDICT_OFFER;
	if (f->may_wait)
		return DSAA_R_HELD;
	return f->class == DSAA_PKT_MIDSTREAM	? DSAA_R_OFFERED_MIDSTREAM :
	       f->class == DSAA_PKT_NEW_TO_POOL ? DSAA_R_OFFERED_POOL :
						  DSAA_R_OFFERED_INVALID;
}

static void test_verdicts(void)
{
	for (unsigned n = 0; n < 5 * 3 * 4 * 64; n++) {
		struct dsaa_packet_facts f = {
			.class = n % 5,
			.owner = n / 5 % 3,
			.word = n / 15 % 4,
			.to_router = n / 60 & 1,
			.from_peer = n / 60 & 2,
			.second_chance = n / 60 & 4,
			.any_peer_alive = n / 60 & 8,
			.refused = n / 60 & 16,
			.may_wait = n / 60 & 32,
		};
		unsigned reason = ~0u, want_reason;
		enum dsaa_verdict want, got = dsaa_owner_verdict(&f, &reason);

		want_reason = expected(&f, &want);
		CHECK(got == want && reason == want_reason);
		/* what came from a peer is never sent on */
		if (f.from_peer)
			CHECK(got == DSAA_VERDICT_LOCAL || got == DSAA_VERDICT_DROP);
		/* what the operator refuses does not come in by us */
		if (f.refused)
			CHECK(got != DSAA_VERDICT_LOCAL && got != DSAA_VERDICT_NEW);
	}
}

int main(void)
{
	test_mask();
	test_mark();
	test_symmetry();
	test_three_creators();
	test_steps();
	test_verdicts();
	return TEST_END();
}
