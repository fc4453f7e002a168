/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What only the northbound needs of the configuration model: a configuration
 * under construction, its check, and its exchange with the one in force. Main
 * thread.
 *
 *	YANG tree -> dsaa_config_load() -> dsaa_config_check() -> dsaa_config_adopt()
 *	             validation, each commit ---------------^      apply
 */
#ifndef DSAA_CONFIG_H
#define DSAA_CONFIG_H

#include "dsaad/dsaad.h"

/* Allocates a configuration with its defaults; the caller frees it with dsaa_config_free(). */
struct dsaa_config *dsaa_config_new(void);
/* Frees C and its lists; NULL is allowed. */
void dsaa_config_free(struct dsaa_config *c);

/*
 * Adds an entry to C, sorted, and takes over its data. The caller fills in the
 * rest of the fields.
 */
struct dsaa_uips *dsaa_config_add_uips(struct dsaa_config *c, uint8_t site, const char *ifname,
				       const struct prefix *address);
struct dsaa_advert *dsaa_config_add_advert(struct dsaa_config *c, const char *vrf,
					   const struct prefix *p, uint8_t site);

/* Sorts the arrays of C, so that the order in which lines were typed does not matter. */
void dsaa_config_sort(struct dsaa_config *c);

/*
 * Checks the rules that compare lines, or that look into an address. Returns
 * false with a sentence in ERR that names the value and the rule.
 */
bool dsaa_config_check(const struct dsaa_config *c, char *err, size_t errlen);

/*
 * Puts C in force: its entries replace those of dsaa_conf; entries that stay
 * keep their state. C is consumed; NULL means that there is no dsaa block.
 */
void dsaa_config_adopt(struct dsaa_config *c);

/* The number of an IP protocol by its configured name ("tcp", "47"), or -1. */
int dsaa_protocol_number(const char *name);
/* The configured name of protocol P, or NULL when it has only a number. */
const char *dsaa_protocol_name(uint8_t p);
/* The same, or the number, which is written to NUMBER. */
const char *dsaa_protocol_text(uint8_t p, char number[8]);

#endif
