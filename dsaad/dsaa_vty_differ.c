/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * show dsaa differences: which lines of the dsaa block and of the forward
 * policy this site has and a peer has not, and the other way round. Main thread.
 */
#include <zebra.h>

#include "command.h"
#include "json.h"
#include "vty.h"

#include "dsaad/dsaa_vty.h"
#include "dsaad/dsaad.h"

#include "dsaad/dsaa_vty_differ_clippy.c"

struct comparison {
	struct dsaa_lines here, there;
	bool known; /* both are */
};

static const struct {
	enum dsaa_lines_kind kind;
	const char *key, *text;
} kinds[] = {
	{ DSAA_LINES_BLOCK, "configuration", "dsaa block" },
	{ DSAA_LINES_RULESET, "ruleset", "Forward policy" },
};

static void compare(struct comparison *c, unsigned site, enum dsaa_lines_kind kind)
{
	bool here = dsaa_sync_lines(0, kind, &c->here);

	c->known = dsaa_sync_lines((uint8_t)site, kind, &c->there) && here;
}

static struct json_object *only_json(const struct dsaa_lines *a, const struct dsaa_lines *b)
{
	struct json_object *list = json_object_new_array();
	const char *line;
	size_t at = 0, len;

	while ((len = dsaa_lines_only(a, b, &at, &line)))
		json_object_array_add(list, json_object_new_string_len(line, (int)len));
	return list;
}

static struct json_object *comparison_json(const struct comparison *c)
{
	struct json_object *o = json_object_new_object();

	json_object_boolean_add(o, "known", c->known);
	json_object_boolean_add(o, "differs", c->known && c->here.digest != c->there.digest);
	if (!c->known)
		return o;
	json_object_string_addf(o, "digestHere", "%016" PRIx64, c->here.digest);
	json_object_string_addf(o, "digestThere", "%016" PRIx64, c->there.digest);
	json_object_object_add(o, "onlyHere", only_json(&c->here, &c->there));
	json_object_object_add(o, "onlyThere", only_json(&c->there, &c->here));
	/* more lines than are exchanged: what differs may be among those */
	json_object_boolean_add(o, "cut", c->here.cut || c->there.cut);
	return o;
}

static void only_text(struct vty *vty, const char *where, const struct dsaa_lines *a,
		      const struct dsaa_lines *b)
{
	const char *line;
	size_t at = 0, len;

	while ((len = dsaa_lines_only(a, b, &at, &line)))
		vty_out(vty, "    only %-5s  %.*s\n", where, (int)len, line);
}

static void comparison_text(struct vty *vty, const char *what, const struct comparison *c)
{
	if (!c->known) {
		vty_out(vty, "  %s: not known\n", what);
		return;
	}
	if (c->here.digest == c->there.digest) {
		vty_out(vty, "  %s: the same\n", what);
		return;
	}
	vty_out(vty, "  %s: differs\n", what);
	only_text(vty, "here", &c->here, &c->there);
	only_text(vty, "there", &c->there, &c->here);
	if (c->here.cut || c->there.cut)
		vty_out(vty, "    there are more lines than are compared here\n");
}

static void peer_json(struct json_object *peers, unsigned s)
{
	struct json_object *o = json_object_new_object();
	struct dsaa_peer_view v;
	struct comparison c;
	char key[8];

	dsaa_view_peer(s, &v);
	json_object_string_add(o, "name", dsaa_conf.site[s].name);
	json_object_boolean_add(o, "adoptionRefused", v.adoption_refused);
	for (unsigned i = 0; i < array_size(kinds); i++) {
		compare(&c, s, kinds[i].kind);
		json_object_object_add(o, kinds[i].key, comparison_json(&c));
	}
	snprintf(key, sizeof(key), "%u", s);
	json_object_object_add(peers, key, o);
}

static void peer_text(struct vty *vty, unsigned s)
{
	struct dsaa_peer_view v;
	struct comparison c;

	dsaa_view_peer(s, &v);
	vty_out(vty, "Peer %u (%s)%s\n", s, dsaa_view_site_name(s),
		v.adoption_refused ? ": its connections will not be adopted" : "");
	for (unsigned i = 0; i < array_size(kinds); i++) {
		compare(&c, s, kinds[i].kind);
		comparison_text(vty, kinds[i].text, &c);
	}
}

DEFPY(show_dsaa_differences, show_dsaa_differences_cmd, "show dsaa differences [json]$json",
      SHOW_STR DSAA_STR "What the peers should have as this site has it\n" JSON_STR)
{
	struct json_object *o = NULL, *peers = NULL;
	bool found = false;

	if (json) {
		o = dsaa_vty_answer_new();
		json_object_string_add(o, "rulesetUnknown", dsaa_compare_ruleset_why());
		peers = json_object_new_object();
	} else if (!dsaa_vty_head(vty)) {
		return CMD_SUCCESS;
	} else if (dsaa_compare_ruleset_why()[0]) {
		vty_out(vty, "The ruleset here is not known: %s\n", dsaa_compare_ruleset_why());
	}
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++) {
		if (!dsaa_view_is_peer(s))
			continue;
		found = true;
		if (json)
			peer_json(peers, s);
		else
			peer_text(vty, s);
	}
	if (json) {
		json_object_object_add(o, "peers", peers);
		dsaa_vty_answer(vty, o);
	} else if (!found) {
		vty_out(vty, "There is no other site to compare with\n");
	}
	return CMD_SUCCESS;
}

void dsaa_vty_differ_init(void)
{
	install_element(VIEW_NODE, &show_dsaa_differences_cmd);
}
