/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Small words to write an nf_tables transaction with: begin, table, chains,
 * sets, rules made of expressions, send. Errors stick: after the first one all
 * further calls do nothing and dsaa_nft_commit returns it. Inside rules/ only.
 * One thread per object.
 */
#ifndef DSAA_NFT_H
#define DSAA_NFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct nftnl_rule;

/* A message of the transaction that the kernel may refuse for want of a feature. */
enum dsaa_nft_feature {
	DSAA_NFT_BASIC,	       /* what every kernel with nf_tables has */
	DSAA_NFT_QUEUE_NATIVE, /* nf_tables' own queue expression */
	DSAA_NFT_QUEUE_XT,     /* the NFQUEUE target of xtables through nft_compat */
	DSAA_NFT_EVENT_MASK,   /* ct event set */
	DSAA_NFT_INGRESS,      /* chains of family inet at a device's ingress (Linux 5.10) */
};

struct dsaa_nft {
	uint8_t *buf; /* the messages, owned */
	size_t len;
	size_t cap;
	uint8_t *feature; /* enum dsaa_nft_feature by message number, owned */
	uint32_t messages;
	uint32_t rules;
	uint32_t sets;
	bool refill; /* chains and sets are there already */
	int error;   /* negative errno, sticky */
	const char *table;

	/* the rule under construction */
	struct nftnl_rule *rule;
	enum dsaa_nft_feature rule_feature;
};

/* Starts a transaction on table TABLE (constant text) of family inet. */
void dsaa_nft_begin(struct dsaa_nft *t, const char *table);
/* Frees what the transaction holds; it may be begun again. */
void dsaa_nft_end(struct dsaa_nft *t);

/* Removes the table, whether it is there or not, and makes it anew. */
void dsaa_nft_table_replace(struct dsaa_nft *t);
/*
 * Keeps the table, which must be there with the chains and sets that follow: instead of being made,
 * each chain loses its rules, and a set stays as it is. No hook is unregistered by that.
 */
void dsaa_nft_table_refill(struct dsaa_nft *t);
/* Removes the table, which must be there. */
void dsaa_nft_table_delete(struct dsaa_nft *t);
/* A chain that rules jump to. */
void dsaa_nft_chain(struct dsaa_nft *t, const char *name);
/* A chain of type filter, policy accept, at HOOK (enum nf_inet_hooks) with PRIO. */
void dsaa_nft_base_chain(struct dsaa_nft *t, const char *name, uint32_t hook, int32_t prio);
/* The same at the ingress of COUNT devices, each named once; it goes with the last of them. */
void dsaa_nft_ingress_chain(struct dsaa_nft *t, const char *name, const char (*devices)[16],
			    unsigned count, int32_t prio);
/* A set of COUNT interface names of IFNAMSIZ bytes each, NUL padded. */
void dsaa_nft_set_ifnames(struct dsaa_nft *t, const char *name, const char (*names)[16],
			  unsigned count);

/* Begins a rule at the end of CHAIN; the expressions follow in order; then dsaa_nft_rule_end. */
void dsaa_nft_rule(struct dsaa_nft *t, const char *chain);
void dsaa_nft_rule_end(struct dsaa_nft *t);
/* Loads meta KEY (enum nft_meta_keys), ct KEY (enum nft_ct_keys), or packet bytes. */
void dsaa_nft_meta(struct dsaa_nft *t, uint32_t key);
void dsaa_nft_ct(struct dsaa_nft *t, uint32_t key);
void dsaa_nft_payload(struct dsaa_nft *t, uint32_t base, uint32_t offset, uint32_t len);
/* Masks what was loaded with LEN bytes (at most 16) of MASK. */
void dsaa_nft_and(struct dsaa_nft *t, const void *mask, uint32_t len);
/* Goes on only if what was loaded is (not) LEN bytes of DATA. */
void dsaa_nft_is(struct dsaa_nft *t, const void *data, uint32_t len);
void dsaa_nft_is_not(struct dsaa_nft *t, const void *data, uint32_t len);
/* The same for what is less than DATA, in network order. */
void dsaa_nft_is_below(struct dsaa_nft *t, const void *data, uint32_t len);
/* Goes on only if what was loaded is not in set NAME of this transaction. */
void dsaa_nft_not_in(struct dsaa_nft *t, const char *name);
/* Ends with a verdict: accept or drop; or go to CHAIN and do not come back. */
void dsaa_nft_accept(struct dsaa_nft *t);
void dsaa_nft_drop(struct dsaa_nft *t);
void dsaa_nft_goto(struct dsaa_nft *t, const char *chain);
void dsaa_nft_notrack(struct dsaa_nft *t);
/* Counts packets and bytes that came as far as this. */
void dsaa_nft_counter(struct dsaa_nft *t);
/* Sets the mask of events that a new connection reports. */
void dsaa_nft_event_mask(struct dsaa_nft *t, uint32_t events);
/* Gives the connection's mark, of which the bits in KEEP stay, the bits SET. */
void dsaa_nft_ct_mark(struct dsaa_nft *t, uint32_t keep, uint32_t set);
/* Ends in queue NUMBER; BYPASS: goes on when nobody listens there. */
void dsaa_nft_queue(struct dsaa_nft *t, bool native, uint16_t number, bool bypass);
/* The same over TOTAL queues from NUMBER on, by connection. */
void dsaa_nft_queues(struct dsaa_nft *t, bool native, uint16_t number, uint16_t total, bool bypass);

/*
 * Sends all. Returns 0, or a negative errno with the feature that the kernel
 * refused in *FEATURE; then nothing of it was applied.
 */
int dsaa_nft_commit(struct dsaa_nft *t, enum dsaa_nft_feature *feature);

#endif
