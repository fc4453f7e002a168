/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Correction as the daemon runs it: makes the rules, the queue threads and the
 * kernel's fast path out of the configuration, the interfaces and the sites'
 * state words.
 *
 * Order: the queues are opened before the rules that fill them, and the rules
 * go before the queues close, so no packet waits in a queue without a reader.
 * The fast path starts when the first queue thread has closed the tunnel's port, and
 * ends before it opens it again. Rules and queues are there in any mode but
 * "off": what the fast path leaves must not get into the wrong site's NAT.
 *
 * Threads: all functions run in the main thread, except dsaa_correct_site_word(), which the sync
 * thread calls, dsaa_correct_changed(), and the queue threads, which run dsaa_nfq_run() with
 * CAP_NET_ADMIN raised for good (the kernel checks the thread that sends each verdict).
 */
#include "dsaad/dsaa_correct.h"

#include <sys/eventfd.h>

#include "frr_pthread.h"
#include "lib_errors.h"
#include "log.h"
#include "vrf.h"

#include "conntrack/dsaa_conntrack.h"
#include "dsaad/dsaa_errors.h"
#include "rules/dsaa_rules.h"

/* How often rules and tunnel are looked after, and what failed is tried again, seconds. */
#define CHECK_S 2
/* How long a start may take to be configured; until then what the last process left works on. */
#define START_S 10

static struct dsaa_nfq_words words;
static struct dsaa_addrset addresses;
static bool addresses_ready;

static struct dsaa_nfq *nfq;
static struct frr_pthread *thread[DSAA_QUEUE_SPREAD_MAX]; /* one for each queue of a site */
static unsigned threads;
static int stop_fd = -1;
static struct dsaa_ct *find_ct;
static _Atomic uint32_t find_mask;
static _Atomic bool find_elsewhere; /* what dsaa_correct_elsewhere_wanted() says */
static struct dsaa_rules_status rules;
static char problem[256];		   /* why correction does not run; empty when it does */
static char problem_said[sizeof(problem)]; /* what the log says of that */
static struct dsaa_rules_config installed; /* what the rules say that are in force */
static uint64_t installed_state;	   /* of the table; 0: not known yet */
/* Tunnel packets that the rules refused: by earlier ones, less what was cleared. */
static struct refused {
	int64_t strangers, malformed;
} refused_before;
static struct event *t_check;
static struct event *t_word;
static struct event *t_changed;
static bool was_wanted; /* since the start */
static unsigned thread_number[DSAA_QUEUE_SPREAD_MAX];

/* ------------------------------------------------------------------ from core to edges */

static bool wanted(void)
{
	return dsaa_conf.enabled && dsaa_local_site() &&
	       dsaa_conf.correction_mode != DSAA_CORRECTION_OFF;
}

static bool is_peer(unsigned site)
{
	return dsaa_conf.site[site].configured && site != dsaa_local_site();
}

/* Whose connections are ours one by one: with the first packet of each. */
static atomic_bool adopts_on_demand[DSAA_SITES_MAX + 1];

enum dsaa_site_word dsaa_correct_get_word(uint8_t site)
{
	return atomic_load(&words.word[site]);
}

/* The interfaces on which foreign packets are caught: as configured, or all that have a uips. */
static unsigned caught_interfaces(char names[DSAA_IFACES_MAX][IFNAMSIZ])
{
	if (!dsaa_conf.correction_ifaces)
		return dsaa_logical_interfaces(names);
	memcpy(names, dsaa_conf.correction_iface, sizeof(dsaa_conf.correction_iface));
	return dsaa_conf.correction_ifaces;
}

static void add_pools(struct dsaa_rules_config *c, const struct dsaa_site *site)
{
	for (unsigned i = 0; i < site->nat_pools && c->pools < DSAA_RULES_POOLS_MAX; i++)
		dsaa_prefix_from_prefix(&c->pool[c->pools++], &site->nat_pool[i]);
}

static void add_peer_addresses(struct dsaa_rules_config *c, const struct dsaa_site *site)
{
	for (unsigned i = 0; i < site->sync_addresses && c->peers < DSAA_RULES_PEERS_MAX; i++)
		dsaa_addr_from_ipaddr(&c->peer[c->peers++], &site->sync_address[i]);
}

/* Our sync-addresses whose interface is known. */
static void add_links(struct dsaa_rules_config *c)
{
	const struct dsaa_site *here = &dsaa_conf.site[dsaa_local_site()];

	for (unsigned i = 0; i < here->sync_addresses; i++) {
		struct interface *ifp = dsaa_zebra_interface_of(&here->sync_address[i]);

		if (!ifp)
			continue;
		dsaa_addr_from_ipaddr(&c->link[c->links].addr, &here->sync_address[i]);
		strlcpy(c->link[c->links].iface, ifp->name, sizeof(c->link[0].iface));
		c->link[c->links].ifindex = ifp->ifindex;
		c->links++;
	}
}

/*
 * The packets of a foreign connection are spread over as many queues, each with a thread of its
 * own, as there are processors: of those that there were at the start.
 */
static unsigned queues_wanted(void)
{
	static long n;

	if (!n)
		n = sysconf(_SC_NPROCESSORS_ONLN);
	return n < 1 ? 1 : MIN(n, (long)DSAA_QUEUE_SPREAD_MAX);
}

static void make_rules_config(struct dsaa_rules_config *c)
{
	char names[DSAA_IFACES_MAX][IFNAMSIZ];

	memset(c, 0, sizeof(*c));
	c->mark_mask = dsaa_conf.mark_mask;
	c->local = dsaa_local_site();
	c->queue_base = DSAA_QUEUE_BASE_DEFAULT;
	c->queues = queues_wanted();
	c->tunnel_port = dsaa_correction_port();
	/* 'sync delay' counts from the first packet */
	c->tcp_begins = dsaa_conf.delay_s[IPPROTO_TCP] > 0;
	strlcpy(c->tun_name, DSAA_TUN_NAME, sizeof(c->tun_name));
	add_links(c);
	c->ifaces = caught_interfaces(names);
	for (unsigned i = 0; i < c->ifaces; i++)
		strlcpy(c->iface[i], names[i], sizeof(c->iface[i]));
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++) {
		enum dsaa_site_word word = dsaa_correct_get_word(s);

		if (!is_peer(s))
			continue;
		add_peer_addresses(c, &dsaa_conf.site[s]);
		if (dsaa_conf.correction_mode == DSAA_CORRECTION_OBSERVE)
			continue;
		if (word == DSAA_WORD_ALIVE || word == DSAA_WORD_UNREACHABLE)
			c->foreign[c->foreigns++] = s;
		if (word == DSAA_WORD_ADOPTED && atomic_load(&adopts_on_demand[s]))
			c->on_demand[c->on_demands++] = s;
		if (word == DSAA_WORD_ALIVE) {
			c->second_chance = true;
			add_pools(c, &dsaa_conf.site[s]);
		}
	}
}

/* The second chance asks whether a connection is ours; runs in the first queue thread. */
static int find_owner(void *arg, const struct dsaa_packet *p, unsigned *owner)
{
	struct dsaa_flow f;
	bool reply;
	int rc = dsaa_ct_find(find_ct, p->family, p->tuple_proto, &p->tuple, &f, &reply);

	if (rc != 1)
		return rc;
	*owner = dsaa_mark_owner(f.mark, atomic_load(&find_mask));
	return rc;
}

static void seen_elsewhere(void *arg, const struct dsaa_packet *p)
{
	if (atomic_load(&find_elsewhere))
		dsaa_correct_elsewhere(p->family, p->tuple_proto, &p->tuple);
}

/* Corrected packets are counted for each prefix of "advertise" by itself. */
static unsigned advertised_prefixes(struct dsaa_prefix prefix[DSAA_COUNTED_PREFIXES_MAX])
{
	struct dsaa_advert *a;
	unsigned n = 0;

	frr_each (dsaa_advert_list, &dsaa_conf.adverts, a)
		if (n < DSAA_COUNTED_PREFIXES_MAX && !a->repeats)
			dsaa_prefix_from_prefix(&prefix[n++], &a->prefix);
	return n;
}

static void make_nfq_config(struct dsaa_nfq_config *c)
{
	char names[DSAA_IFACES_MAX][IFNAMSIZ];

	atomic_store(&find_mask, dsaa_conf.mark_mask);
	atomic_store(&find_elsewhere, dsaa_correct_elsewhere_wanted());
	memset(c, 0, sizeof(*c));
	c->local_site = dsaa_local_site();
	c->queue_base = DSAA_QUEUE_BASE_DEFAULT;
	c->queues = queues_wanted();
	c->tunnel_port = dsaa_correction_port();
	c->hold_ms = dsaa_conf.correction_hold_ms;
	strlcpy(c->tun_name, DSAA_TUN_NAME, sizeof(c->tun_name));
	c->tun_device_fd = dsaa_tun_device_fd;
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++) {
		struct dsaa_nfq_peer *p = &c->peer[c->peers];

		if (!is_peer(s))
			continue;
		p->site = s;
		dsaa_correct_make_links(p);
		c->peers++;
	}
	c->ifaces = dsaa_logical_interfaces(names);
	for (unsigned i = 0; i < c->ifaces; i++) {
		struct interface *ifp = dsaa_zebra_interface(names[i]);

		strlcpy(c->iface[i].name, names[i], sizeof(c->iface[i].name));
		c->iface[i].ifindex = ifp ? ifp->ifindex : 0;
	}
	c->prefixes = advertised_prefixes(c->prefix);
	c->addresses = &addresses;
	c->words = &words;
	c->find = find_owner;
	c->elsewhere = seen_elsewhere;
	c->tell = dsaa_correct_trace;
}

/* ------------------------------------------------------------------ the queue threads */

static void *run_thread(void *arg)
{
	struct frr_pthread *fpt = arg;
	unsigned mine = *(const unsigned *)fpt->data;
	int rc;

	rcu_read_unlock();
	frr_pthread_set_name(fpt);
	dsaa_privs.change(ZPRIVS_RAISE);
	frr_pthread_notify_running(fpt);
	rc = dsaa_nfq_run(nfq, mine, stop_fd);
	if (rc < 0)
		flog_err(EC_DSAA_QUEUE, "queue thread %u ended: %s", mine, safe_strerror(-rc));
	return NULL;
}

static int stop_thread(struct frr_pthread *fpt, void **result)
{
	uint64_t one = 1;

	/* nobody reads it, so that it stops all of them */
	if (write(stop_fd, &one, sizeof(one)) != sizeof(one))
		flog_err_sys(EC_LIB_SYSTEM_CALL, "cannot stop the queue threads: %m");
	pthread_join(fpt->thread, result);
	return 0;
}

static bool start_thread(unsigned n)
{
	static const struct frr_pthread_attr attr = { .start = run_thread, .stop = stop_thread };
	static struct dsaa_log_limit limit;
	char name[16];
	unsigned hidden;
	int rc;

	snprintf(name, sizeof(name), n ? "dsaa-nfq%u" : "dsaa-nfq", n);
	thread[n] = frr_pthread_new(&attr, "dsaa correction", name);
	thread_number[n] = n;
	thread[n]->data = &thread_number[n];
	rc = frr_pthread_run(thread[n], NULL);
	if (rc) {
		if (dsaa_log_allowed(&limit, &hidden))
			flog_err(EC_DSAA_THREAD,
				 "queue thread %u does not start: %s (%u times before)", n,
				 safe_strerror(rc), hidden);
		frr_pthread_destroy(thread[n]);
		return false;
	}
	frr_pthread_wait_running(thread[n]);
	return true;
}

static void close_queues(void)
{
	void *result;

	if (!nfq)
		return;
	dsaa_correct_watch_stop();
	while (threads) {
		frr_pthread_stop(thread[--threads], &result);
		frr_pthread_destroy(thread[threads]);
	}
	close(stop_fd);
	stop_fd = -1;
	frr_with_privs (&dsaa_privs) {
		dsaa_nfq_close(nfq);
	}
	nfq = NULL;
	dsaa_ct_close(find_ct);
	find_ct = NULL;
}

static bool open_queues(const struct dsaa_nfq_config *c)
{
	frr_with_privs (&dsaa_privs) {
		find_ct = dsaa_ct_open(dsaa_conf.mark_mask, false, problem, sizeof(problem));
		if (find_ct)
			nfq = dsaa_nfq_open(c, problem, sizeof(problem));
	}
	if (!nfq) {
		dsaa_ct_close(find_ct);
		find_ct = NULL;
		return false;
	}
	stop_fd = eventfd(0, EFD_CLOEXEC);
	for (threads = 0; threads < c->queues; threads++)
		if (!start_thread(threads)) {
			snprintf(problem, sizeof(problem), "no thread for a packet queue");
			close_queues();
			return false;
		}
	dsaa_correct_watch_start();
	return true;
}

/* ------------------------------------------------------------------ reconcile */

/* Once for each problem, and when it has gone. */
static void log_problem(void)
{
	if (!strcmp(problem_said, problem))
		return;
	strlcpy(problem_said, problem, sizeof(problem_said));
	if (problem[0])
		flog_err(EC_DSAA_CORRECTION, "correction does not run: %s", problem);
	else
		zlog_info("correction runs again");
}

static void remove_rules(void)
{
	frr_with_privs (&dsaa_privs) {
		dsaa_rules_remove(NULL, 0);
	}
	memset(&rules, 0, sizeof(rules));
	memset(&installed, 0, sizeof(installed));
}

/* Opens the queues as C says, or tells their thread. */
static bool run_queues(const struct dsaa_nfq_config *c)
{
	bool ok = false;

	if (!nfq)
		return open_queues(c);
	frr_with_privs (&dsaa_privs) {
		ok = dsaa_nfq_reconfigure(nfq, c, problem, sizeof(problem));
	}
	return ok;
}

/* Modes "kernel" and "observe" mean that, and not everything through the queues. */
static bool give_up(void)
{
	snprintf(problem, sizeof(problem), "no fast path: %s", dsaa_correct_fast_why());
	remove_rules();
	close_queues();
	return false;
}

static bool run_paths(struct dsaa_nfq_config *c)
{
	bool only_kernel = dsaa_conf.correction_mode == DSAA_CORRECTION_KERNEL ||
			   dsaa_conf.correction_mode == DSAA_CORRECTION_OBSERVE;

	c->send_only = dsaa_correct_fast_may_run(c);
	if (!c->send_only)
		dsaa_correct_fast_remove();
	if (!c->send_only && only_kernel)
		return give_up();
	if (!run_queues(c))
		return false;
	if (!c->send_only || dsaa_correct_fast_apply())
		return true;
	dsaa_correct_fast_remove();
	if (only_kernel)
		return give_up();
	c->send_only = false;
	return run_queues(c);
}

static bool start_or_reconfigure(void)
{
	struct dsaa_nfq_config *c = XCALLOC(MTYPE_TMP, sizeof(*c));
	bool ok;

	make_nfq_config(c);
	ok = run_paths(c);
	XFREE(MTYPE_TMP, c);
	return ok;
}

/* Tunnel packets that the rules refused since the last clear. */
static struct refused refused_now(void)
{
	struct refused r = refused_before;
	uint64_t strangers = 0, malformed = 0;

	frr_with_privs (&dsaa_privs) {
		dsaa_rules_refused(&strangers, &malformed);
	}
	r.strangers += strangers;
	r.malformed += malformed;
	return r;
}

/*
 * A site's word changes under traffic, and packets wait in the queues then: the table is only
 * refilled, which loses none of them. For other interfaces, and when that fails, it is made anew.
 */
static int install(const struct dsaa_rules_config *c)
{
	bool same_interfaces = c->ifaces == installed.ifaces &&
			       !memcmp(c->iface, installed.iface, sizeof(c->iface)) &&
			       c->links == installed.links &&
			       /* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): as below */
			       !memcmp(c->link, installed.link, sizeof(c->link));

	if (rules.installed && same_interfaces && dsaa_rules_refill(c, &rules) == 0)
		return 0;
	return dsaa_rules_apply(c, &rules);
}

/*
 * Whether the table is there, as dsaa_rules_present() says, and the SAME as it was installed. Its
 * state is learned when it is seen first, if it has all rules: somebody may have been at it before.
 */
static int table_present(bool *same)
{
	uint64_t state;
	unsigned count;
	int rc = dsaa_rules_present(&state, &count);

	if (rc == 1 && !installed_state && count == rules.rules)
		installed_state = state;
	*same = rc == 1 && state == installed_state;
	return rc;
}

/*
 * Replacing the table makes the kernel drop what waits in the queues, so it is done only when the
 * rules have to say something else.
 */
static void apply_rules(void)
{
	struct dsaa_rules_config *c = XCALLOC(MTYPE_TMP, sizeof(*c));
	bool same;
	int rc = 0;

	make_rules_config(c);
	/* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): all of it from XCALLOC() */
	if (!rules.installed || memcmp(c, &installed, sizeof(*c))) {
		frr_with_privs (&dsaa_privs) {
			refused_before = refused_now();
			rc = install(c);
			installed_state = 0;
			table_present(&same);
		}
		installed = *c;
	}
	XFREE(MTYPE_TMP, c);
	if (rc)
		snprintf(problem, sizeof(problem), "the rules cannot be installed: %s", rules.why);
}

/* Somebody else may have taken away the rules ("flush ruleset") or some of them. */
static enum dsaa_correct_found look_after_rules(void)
{
	static struct dsaa_log_limit limit;
	bool same = true;
	unsigned hidden;
	int rc = 0;

	if (!rules.installed)
		return DSAA_CORRECT_WELL;
	frr_with_privs (&dsaa_privs) {
		rc = table_present(&same);
	}
	if (rc < 0)
		return DSAA_CORRECT_UNREAD;
	if (same)
		return DSAA_CORRECT_WELL;
	if (dsaa_log_allowed(&limit, &hidden))
		flog_warn(EC_DSAA_RULES,
			  "somebody %s the table inet dsaa: installed again (%u times before)",
			  rc ? "changed" : "removed", hidden);
	rules.installed = false;
	return DSAA_CORRECT_CHANGED;
}

/* The rules, and the tunnel device. */
static void look_after(void)
{
	static struct dsaa_log_limit limit;
	struct dsaa_nfq_status status;
	unsigned hidden;

	dsaa_nfq_status(nfq, &status);
	if (status.tun_ifindex && if_nametoindex(DSAA_TUN_NAME)) {
		look_after_rules();
		return;
	}
	if (dsaa_log_allowed(&limit, &hidden))
		flog_warn(EC_DSAA_TUNNEL,
			  "somebody removed the interface %s: made again (%u times before)",
			  DSAA_TUN_NAME, hidden);
	remove_rules();
	close_queues();
}

static void check(struct event *t)
{
	if (nfq) {
		look_after();
		dsaa_correct_say_warnings();
	}
	dsaa_correct_gate_check();
	dsaa_correct_rate_sample();
	dsaa_correct_reconcile();
}

static void check_soon(void)
{
	EVENT_OFF(t_check);
	event_add_timer(master, check, NULL, CHECK_S, &t_check);
}

/* The configuration, or the address that tells which site this is, may come any moment. */
static bool just_started(void)
{
	static struct dsaa_mono first;

	if (!first.us)
		first = dsaa_mono_now();
	return !was_wanted &&
	       dsaa_mono_diff_us(dsaa_mono_now(), first) < START_S * INT64_C(1000000);
}

void dsaa_correct_reconcile(void)
{
	if (!addresses_ready) {
		dsaa_addrset_init(&addresses);
		addresses_ready = true;
	}
	if (!wanted() && just_started()) {
		check_soon();
		return;
	}
	if (!wanted()) {
		dsaa_correct_stop();
		return;
	}
	was_wanted = true;
	problem[0] = '\0';
	if (start_or_reconfigure())
		apply_rules();
	log_problem();
	check_soon();
}

void dsaa_correct_stop(void)
{
	EVENT_OFF(t_check);
	dsaa_correct_gate_stop();
	dsaa_correct_rate_stop();
	dsaa_correct_fast_remove();
	remove_rules();
	close_queues();
	problem[0] = problem_said[0] = '\0';
}

void dsaa_correct_load(void)
{
	dsaa_correct_fast_load();
	/* after a restart the kernel knows better than we, who know nothing yet */
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++)
		atomic_store(&words.word[s], (uint8_t)dsaa_correct_fast_get_word(s));
}

void dsaa_correct_start(void)
{
	dsaa_correct_elsewhere_start();
}

/* ------------------------------------------------------------------ what changes meanwhile */

static void word_changed(struct event *t)
{
	if (!nfq)
		return;
	apply_rules();
	log_problem();
}

enum dsaa_correct_found dsaa_correct_look(void)
{
	enum dsaa_correct_found found = look_after_rules();

	/* the rules alone: packets take the wrong way until they are back */
	if (found == DSAA_CORRECT_CHANGED) {
		apply_rules();
		log_problem();
	}
	return found;
}

void dsaa_correct_site_word(uint8_t site, enum dsaa_site_word word, bool on_demand)
{
	atomic_store(&adopts_on_demand[site], on_demand);
	/* kernel and queue threads read this at their next packet; the rules only follow */
	dsaa_correct_fast_word(site, word);
	atomic_store(&words.word[site], (uint8_t)word);
	event_add_event(master, word_changed, NULL, 0, &t_word);
}

static void reconcile_now(struct event *t)
{
	dsaa_correct_reconcile();
}

void dsaa_correct_changed(void)
{
	event_add_event(master, reconcile_now, NULL, 0, &t_changed);
}

void dsaa_correct_address(const struct prefix *p, bool added)
{
	struct dsaa_addr a;

	if (!addresses_ready) {
		dsaa_addrset_init(&addresses);
		addresses_ready = true;
	}
	dsaa_addr_from_prefix(&a, p);
	dsaa_correct_fast_address(&a, added);
	if (!added)
		dsaa_addrset_del(&addresses, &a);
	else if (!dsaa_addrset_add(&addresses, &a))
		flog_warn(EC_DSAA_KERNEL_LIMITS, "more than %d local addresses: %pFX is not known",
			  DSAA_LOCAL_ADDRESSES_MAX, p);
}

void dsaa_correct_trace_on(bool on)
{
	atomic_store(&words.trace, on);
}

void dsaa_correct_clear(void)
{
	struct refused refused;

	if (nfq)
		dsaa_nfq_counters_clear(nfq);
	refused = refused_now();
	refused_before.strangers -= refused.strangers;
	refused_before.malformed -= refused.malformed;
	dsaa_correct_fast_clear();
	dsaa_correct_rate_clear();
}

/* ------------------------------------------------------------------ what is shown */

void dsaa_correct_peer_view(uint8_t site, struct dsaa_correct_peer *v)
{
	struct dsaa_nfq_counters c = { 0 };
	struct dsaa_fast_counters k;

	dsaa_correct_fast_counters(&k);
	if (nfq)
		dsaa_nfq_counters(nfq, &c);
	v->packets_sent = c.peer[site].packets_sent + k.peer[site].packets_sent;
	v->bytes_sent = c.peer[site].bytes_sent + k.peer[site].bytes_sent;
	v->packets_received = c.peer[site].packets_received + k.peer[site].packets_received;
	v->bytes_received = c.peer[site].bytes_received + k.peer[site].bytes_received;
	v->packets_observed = k.peer[site].packets_observed;
	v->bytes_observed = k.peer[site].bytes_observed;
	v->packets_sent_kernel = k.peer[site].packets_sent;
}

void dsaa_correct_reasons(uint64_t packets[DSAA_REASONS_MAX])
{
	struct refused refused;
	struct dsaa_nfq_counters c = { 0 };
	struct dsaa_fast_counters k;

	dsaa_correct_fast_counters(&k);
	if (nfq)
		dsaa_nfq_counters(nfq, &c);
	for (unsigned i = 0; i < DSAA_REASONS_MAX; i++)
		packets[i] = c.reason[i] + k.packets[i];
	/* delivered by the fast path, and refused by the queue thread: it counts as that alone */
	packets[DSAA_R_RX_DELIVERED] -= MIN(c.taken_back, packets[DSAA_R_RX_DELIVERED]);
	refused = refused_now();
	packets[DSAA_R_RX_STRANGER] += refused.strangers;
	packets[DSAA_R_RX_MALFORMED] += refused.malformed;
}

void dsaa_correct_prefix_view(const struct prefix *p, struct dsaa_correct_prefix *v)
{
	struct dsaa_fast_prefix_counters k = { 0 };
	struct dsaa_prefix prefix = { 0 };
	uint64_t packets = 0, bytes = 0;

	dsaa_prefix_from_prefix(&prefix, p);
	if (dsaa_correct_fast())
		dsaa_fast_prefix_counters(dsaa_correct_fast(), &prefix, &k);
	if (nfq)
		dsaa_nfq_prefix_counters(nfq, &prefix, &packets, &bytes);
	v->packets = k.packets + packets;
	v->bytes = k.bytes + bytes;
	v->packets_observed = k.packets_observed;
	v->bytes_observed = k.bytes_observed;
}

unsigned dsaa_correct_policy_queue(void)
{
	return DSAA_QUEUE_BASE_DEFAULT + DSAA_QUEUE_POLICY;
}

void dsaa_correct_hold_view(uint64_t *waiting, uint64_t *no_room)
{
	struct dsaa_nfq_counters c = { 0 };

	if (nfq)
		dsaa_nfq_counters(nfq, &c);
	*waiting = c.waiting;
	*no_room = c.hold_full;
}

bool dsaa_correct_is_caught(const char *ifname)
{
	char names[DSAA_IFACES_MAX][IFNAMSIZ];
	unsigned n = caught_interfaces(names);

	for (unsigned i = 0; i < n; i++)
		if (!strcmp(names[i], ifname))
			return true;
	return false;
}

static const char *off(char *why, size_t whylen, const char *text)
{
	strlcpy(why, text, whylen);
	return "off";
}

/* TEXT, and what is not as it should be. */
static void tell_why(char *why, size_t whylen, const char *text,
		     const struct dsaa_nfq_status *status)
{
	const char *more[] = { dsaa_conf.correction_mode == DSAA_CORRECTION_NFQUEUE ?
				       "" :
				       dsaa_correct_fast_why(),
			       status->why, rules.why };

	strlcpy(why, text, whylen);
	for (unsigned i = 0; i < array_size(more); i++) {
		if (!more[i][0])
			continue;
		strlcat(why, "; ", whylen);
		strlcat(why, more[i], whylen);
	}
}

unsigned dsaa_correct_queues(void)
{
	return threads;
}

const char *dsaa_correct_not_running(void)
{
	if (dsaa_conf.correction_mode == DSAA_CORRECTION_OFF)
		return "correction mode off";
	if (!dsaa_local_site())
		return dsaa_reason_meaning(DSAA_R_NO_LOCAL_SITE);
	if (problem[0] || !nfq)
		return problem[0] ? problem : "starting";
	if (dsaa_conf.correction_mode == DSAA_CORRECTION_OBSERVE)
		return "correction mode observe: counted, not touched";
	return NULL;
}

bool dsaa_correct_is_router(uint8_t family, const uint8_t bytes[16])
{
	return dsaa_addr_is_special(family, bytes) ||
	       (addresses_ready && dsaa_addrset_has(&addresses, family, bytes));
}

const char *dsaa_correct_data_path(const char *ifname, char *why, size_t whylen)
{
	const char *not_running = dsaa_correct_not_running();
	struct dsaa_nfq_status status;

	if (wanted() && !dsaa_correct_is_caught(ifname))
		return off(why, whylen, "not a correction interface");
	if (wanted() && !dsaa_zebra_interface(ifname))
		return off(why, whylen, "interface missing");
	if (not_running)
		return off(why, whylen, not_running);
	dsaa_nfq_status(nfq, &status);
	if (dsaa_correct_fast_serves(ifname)) {
		tell_why(why, whylen,
			 "the fast path; fragments, ICMP and other protocols by NFQUEUE", &status);
		return "kernel";
	}
	tell_why(why, whylen,
		 dsaa_conf.correction_mode == DSAA_CORRECTION_NFQUEUE ? "as configured" :
									"no fast path",
		 &status);
	return "nfqueue";
}
