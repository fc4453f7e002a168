/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Entries that we put into the table lately, so that the next record of such a
 * connection (it is assured now) needs no CREATE that fails and no look-up of
 * what stands there: a third of the work. One that is assured already is not
 * remembered: its next record is that of its end, long after. One thread.
 *
 * Invariants: an entry is known only while the last that happened to it was a
 * successful change of ours; any event about its key, any failure and any loss
 * of events makes it forgotten. A wrong "it is there" costs one failed UPDATE,
 * which says so. What an answer would have to say beyond "update it" (another
 * owner, another NAT, more than the record tells of) is left to the kernel, and
 * so is a connection with any of the rare parts.
 */
#include "conntrack/dsaa_ct_private.h"

#include <string.h>

static struct dsaa_ct_known *known_of(struct dsaa_ct *ct, const struct dsaa_flow *f)
{
	return &ct->known[dsaa_flow_key_hash(f, ct->known_seed) & (DSAA_CT_KNOWN - 1)];
}

static bool has_rare_parts(const struct dsaa_flow *f)
{
	return f->has || f->helper[0];
}

static bool is_known(const struct dsaa_ct_known *k, const struct dsaa_flow *f)
{
	return k->valid && dsaa_flow_key_equal(&k->flow, f);
}

bool dsaa_ct_known_answer(struct dsaa_ct *ct, struct dsaa_apply *op)
{
	const uint32_t seen = DSAA_FLOW_SEEN_REPLY | DSAA_FLOW_ASSURED;
	const struct dsaa_ct_known *k;

	if (op->kind != DSAA_APPLY_CREATE || !ct->events || !ct->known_count ||
	    has_rare_parts(&op->flow))
		return false;
	k = known_of(ct, &op->flow);
	if (!is_known(k, &op->flow) || (k->flow.mark ^ op->flow.mark) & ct->mark_mask ||
	    k->flow.status & ~op->flow.status & seen ||
	    memcmp(&k->flow.reply, &op->flow.reply, sizeof(k->flow.reply)))
		return false;
	op->existing = k->flow;
	op->result = DSAA_APPLIED_EXISTS;
	op->error = 0;
	return true;
}

void dsaa_ct_known_note(struct dsaa_ct *ct, const struct dsaa_apply *op)
{
	struct dsaa_ct_known *k;

	if (op->kind == DSAA_APPLY_LOOKUP)
		return;
	k = known_of(ct, &op->flow);
	if (op->kind == DSAA_APPLY_DELETE || op->result != DSAA_APPLIED_OK ||
	    has_rare_parts(&op->flow) ||
	    (op->kind == DSAA_APPLY_UPDATE && has_rare_parts(&op->existing)) ||
	    op->flow.status & DSAA_FLOW_ASSURED || !dsaa_mark_owner(op->flow.mark, ct->mark_mask)) {
		dsaa_ct_known_forget(ct, &op->flow);
		return;
	}
	k->flow = op->flow;
	k->flow.id = 0; /* the kernel does not tell */
	/* the kernel takes no status bit back */
	if (op->kind == DSAA_APPLY_UPDATE)
		k->flow.status |= op->existing.status;
	ct->known_count += !k->valid;
	k->valid = true;
}

void dsaa_ct_known_forget(struct dsaa_ct *ct, const struct dsaa_flow *f)
{
	struct dsaa_ct_known *k;

	if (!ct->known_count)
		return; /* a site with no other's connections need not look */
	k = known_of(ct, f);
	if (!is_known(k, f))
		return;
	k->valid = false;
	ct->known_count--;
}

void dsaa_ct_known_clear(struct dsaa_ct *ct)
{
	for (unsigned i = 0; i < DSAA_CT_KNOWN; i++)
		ct->known[i].valid = false;
	ct->known_count = 0;
}
