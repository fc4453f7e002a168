/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The sync thread's sessions with the peers: what the transport (sync/) tells
 * becomes events of the engine. Which sessions there are follows the
 * configuration; a change of it closes all, and the engine opens them anew.
 *
 * Threads: the sync thread, but for dsaa_sync_links_view().
 */
#include "dsaad/dsaa_sync_private.h"

#include "log.h"

#include "dsaad/dsaa_debug.h"
#include "dsaad/dsaa_errors.h"

static struct dsaa_transport_config transport_config;
static uint8_t transport_key[DSAA_KEY_LEN_MAX];
/* guarded by the lock */
static struct dsaa_sync_links links_view[DSAA_SITES_MAX + 1];

/* ------------------------------------------------------------------ what the transport tells */

static void on_connected(void *arg, dsaa_site_id site, bool secure)
{
	struct dsaa_event ev = { .type = DSAA_EV_CONNECTED, .site = site, .ok = secure };

	if (DSAA_DEBUG(DSAA_DEBUG_SYNC))
		zlog_debug("site %u: connected, %s", site, secure ? "TLS" : "plain text");
	dsaa_sync_take();
	dsaa_sync_tell_room(site);
	dsaa_sync_step(&ev);
	dsaa_sync_release();
}

/* Two calls, as a code must be constant: a link that fails is no fault of what the peer loads. */
static void log_end(dsaa_site_id site, unsigned reason, const char *detail)
{
	const char *name = dsaa_reason_name(reason);

	if (reason == DSAA_R_TRANSPORT_LOST)
		flog_warn(EC_DSAA_SESSION, "site %u: session lost: %s (%s)", site, name, detail);
	else
		flog_warn(EC_DSAA_PEER_REFUSED, "site %u: session ended: %s (%s)", site, name,
			  detail);
}

static void on_disconnected(void *arg, dsaa_site_id site, unsigned reason, const char *detail)
{
	struct dsaa_event ev = { .type = DSAA_EV_DISCONNECTED, .site = site, .reason = reason };

	if (DSAA_DEBUG(DSAA_DEBUG_SYNC))
		zlog_debug("site %u: not connected any more: %s (%s)", site,
			   dsaa_reason_name(reason), detail);
	if (reason != DSAA_R_CONNECT_FAILED && dsaa_sync_may_log(site, reason))
		log_end(site, reason, detail);
	dsaa_sync_locked_step(&ev);
}

/* One message per step: each step consumes at most one. */
static void on_received(void *arg, dsaa_site_id site)
{
	const uint8_t *buf;
	size_t len;

	dsaa_sync_take();
	while (dsaa_sync.transport && dsaa_transport_peek(dsaa_sync.transport, site, &buf, &len)) {
		struct dsaa_event ev = {
			.type = DSAA_EV_RECEIVED, .site = site, .data = buf, .len = len
		};

		dsaa_sync_tell_room(site);
		dsaa_sync_step(&ev);
		if (!ev.consumed)
			break;
		dsaa_sync_trace_message("received", site, buf, ev.consumed);
		dsaa_transport_consume(dsaa_sync.transport, site, ev.consumed);
		dsaa_sync_release();
		dsaa_sync_take();
	}
	dsaa_sync_release();
}

static void on_writable(void *arg, dsaa_site_id site, size_t room)
{
	struct dsaa_event tick = { .type = DSAA_EV_TICK };

	dsaa_sync_take();
	dsaa_sync_tell_room(site);
	dsaa_sync_step(&tick);
	dsaa_sync_release();
	dsaa_sync_arm();
}

static void on_refused(void *arg, const struct dsaa_addr *address, dsaa_site_id site,
		       unsigned reason, const char *detail)
{
	struct dsaa_event ev = { .type = DSAA_EV_ATTEMPT, .site = site, .reason = reason };
	char text[INET6_ADDRSTRLEN];

	if (dsaa_sync_may_log(site, reason))
		flog_warn(EC_DSAA_PEER_REFUSED, "refused a connection from %s: %s (%s)",
			  dsaa_addr_text(address->family, address->bytes, text),
			  dsaa_reason_name(reason), detail);
	if (site)
		dsaa_sync_locked_step(&ev);
}

static void on_listening(void *arg, const struct dsaa_addr *address, int error)
{
	char text[INET6_ADDRSTRLEN];

	dsaa_addr_text(address->family, address->bytes, text);
	if (error)
		flog_warn(EC_DSAA_LISTEN, "cannot listen on %s: %s", text, safe_strerror(error));
	else if (DSAA_DEBUG(DSAA_DEBUG_SYNC))
		zlog_debug("listening on %s", text);
}

static const struct dsaa_transport_callbacks callbacks = {
	.connected = on_connected,
	.disconnected = on_disconnected,
	.received = on_received,
	.writable = on_writable,
	.refused = on_refused,
	.listening = on_listening,
};

/* ------------------------------------------------------------------ opening and closing */

void dsaa_sync_close_transport(void)
{
	if (!dsaa_sync.transport)
		return;
	dsaa_transport_close(dsaa_sync.transport);
	dsaa_sync.transport = NULL;
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++) {
		struct dsaa_event ev = { .type = DSAA_EV_DISCONNECTED,
					 .site = s,
					 .reason = DSAA_R_CONFIG_CHANGED };
		dsaa_sync_locked_step(&ev);
	}
}

void dsaa_sync_open_transport(void)
{
	char err[160];

	if (!transport_config.local || (transport_config.secure && !transport_config.key_len))
		return;
	transport_config.key = transport_key;
	dsaa_sync.transport = dsaa_transport_open(&transport_config, dsaa_mono_now(), &callbacks,
						  NULL, err, sizeof(err));
	if (!dsaa_sync.transport) {
		flog_err(EC_DSAA_SESSION, "no sessions: %s", err);
		return;
	}
	dsaa_sync_hot_add(dsaa_transport_fd(dsaa_sync.transport));
}

/* The key is compared apart: the pointer in the configuration is not its content. */
void dsaa_sync_configure_transport(struct dsaa_post *p)
{
	p->transport.key = NULL;
	transport_config.key = NULL;
	if (dsaa_sync.transport &&
	    /* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): zeroed with its padding */
	    !memcmp(&transport_config, &p->transport, sizeof(transport_config)) &&
	    !memcmp(transport_key, p->key, sizeof(transport_key)))
		return;
	dsaa_sync_close_transport();
	/* with its padding, which is compared too */
	memcpy(&transport_config, &p->transport, sizeof(transport_config));
	memcpy(transport_key, p->key, sizeof(transport_key));
}

void dsaa_sync_forget_key(void)
{
	explicit_bzero(transport_key, sizeof(transport_key));
}

/* ------------------------------------------------------------------ what is shown */

void dsaa_sync_copy_links_view(void)
{
	for (unsigned s = 1; s <= DSAA_SITES_MAX; s++) {
		struct dsaa_sync_links *l = &links_view[s];
		struct dsaa_transport_info info;

		memset(l, 0, sizeof(*l));
		if (!dsaa_sync.transport || !dsaa_transport_info(dsaa_sync.transport, s, &info) ||
		    !info.connected)
			continue;
		l->multipath = info.multipath;
		for (unsigned i = 0; i < info.links && i < DSAA_SYNC_LINKS_MAX; i++) {
			l->local[i] = info.link[i].local;
			l->remote[i] = info.link[i].remote;
			l->count++;
		}
	}
}

void dsaa_sync_links_view(uint8_t site, struct dsaa_sync_links *l)
{
	dsaa_sync_take();
	*l = links_view[site];
	dsaa_sync_release();
}
