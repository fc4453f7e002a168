/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The show commands, a file for each group, and what their answers have in
 * common. Main thread; what other threads own is copied by the functions of
 * dsaad.h.
 *
 * Each show command exists once: it fills a JSON object with the published
 * keys, or writes lines. All of them answer without a dsaa block, without
 * zebra and without peers.
 */
#ifndef DSAA_VTY_H
#define DSAA_VTY_H

#include "dsaad/dsaa_view.h"

struct json_object;
struct vty;

#define DSAA_STR "Dual-site active/active\n"

/* An answer's object, which says aloud that the session is plain text. */
struct json_object *dsaa_vty_answer_new(void);
/* Prints O and frees it. Returns what the command returns. */
int dsaa_vty_answer(struct vty *vty, struct json_object *o);
/* First lines of every text answer; false when there is nothing more to tell. */
bool dsaa_vty_head(struct vty *vty);

/* Time since T as text in BUF: "00:01:02", or "3d04h05m" from a day on. */
const char *dsaa_vty_age(struct dsaa_mono t, char buf[32]);

/* {REASON: n} of those that are not 0. */
struct json_object *dsaa_vty_reasons_json(const uint64_t n[DSAA_REASONS_MAX]);
/* A line for each of them, behind INDENT. */
void dsaa_vty_reasons(struct vty *vty, const char *indent, const uint64_t n[DSAA_REASONS_MAX]);
/* Adds "reason", "reasonText" and "remedy" to O; all empty for 0. */
void dsaa_vty_reason_json(struct json_object *o, unsigned reason);
/* ", REASON: what it means (what to do)"; nothing for 0. */
void dsaa_vty_reason(struct vty *vty, unsigned reason);

/* A new object in PARENT, whose key is the site's number. PARENT owns it. */
struct json_object *dsaa_vty_object_at(struct json_object *parent, unsigned site);

/* Each installs the commands of its file. */
void dsaa_vty_correct_init(void);
void dsaa_vty_differ_init(void);
void dsaa_vty_flow_init(void);
void dsaa_vty_site_init(void);
void dsaa_vty_sync_init(void);

#endif
