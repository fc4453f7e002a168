/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The loader of the fast path, see dsaa_fast.h.
 *
 * Programs are always those of this build; what is taken over from an earlier
 * process is the maps' contents. A filter is replaced in one step, so no packet
 * passes without a program. Order of apply: maps, device with its program,
 * then the interfaces: nothing is sent before it can be received.
 */
#include "bpf/dsaa_fast.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/magic.h>

#include "bpf/dsaa_fast_net.h"
#include "bpf/dsaa_fast_private.h"
#include "core/dsaa_encap.h"

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

_Static_assert(DSAA_FAST_REASONS == (int)DSAA_REASONS_MAX, "a counter for each reason");

enum { PATH_LEN = DSAA_FAST_PATH_LEN, CPUS_MAX = 4096 };

enum prog { TO_OWNER, FROM_PEER, FROM_LINK };

/* ------------------------------------------------------------------ libbpf's complaints */

static __thread char complaint[256];

/* The last warning before a failure says the most; the rest would go to standard error. */
static int keep_complaint(enum libbpf_print_level level, const char *format, va_list args)
{
	if (level == LIBBPF_WARN && !strstr(complaint, "not found in kernel"))
		vsnprintf(complaint, sizeof(complaint), format, args);
	complaint[strcspn(complaint, "\n")] = '\0';
	return 0;
}

static void explain_load(char *err, size_t errlen, int rc)
{
	if (access("/sys/kernel/btf/vmlinux", R_OK) != 0)
		snprintf(err, errlen, "the kernel has no BTF (CONFIG_DEBUG_INFO_BTF)");
	else if (rc == -EPERM)
		snprintf(err, errlen, "BPF programs may not be loaded here: no permission");
	else if (strstr(complaint, "bpf_skb_ct_lookup") || strstr(complaint, "bpf_ct_release"))
		snprintf(err, errlen,
			 "the kernel has no conntrack functions for BPF (Linux 5.19 or later, "
			 "nf_conntrack loaded)");
	else
		snprintf(err, errlen, "the kernel refused the BPF programs: %s (%s)", strerror(-rc),
			 complaint);
}

/* ------------------------------------------------------------------ pins */

static bool is_bpffs(const char *path)
{
	struct statfs st;

	return statfs(path, &st) == 0 && (unsigned long)st.f_type == BPF_FS_MAGIC;
}

/* Names the folder of the pins of this network namespace; false with a reason in WHY. */
static bool pin_dir(const char *bpffs, char dir[PATH_LEN], char *why, size_t whylen)
{
	uint64_t cookie = 0;
	socklen_t len = sizeof(cookie);
	int fd;

	dir[0] = '\0';
	/* as every tool does that pins */
	if (!is_bpffs(bpffs) && mount("bpf", bpffs, "bpf", 0, "mode=0700") < 0) {
		snprintf(why, whylen, "no BPF file system at %s: %s", bpffs, strerror(errno));
		return false;
	}
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, &cookie, &len) < 0) {
		snprintf(why, whylen, "the network namespace has no cookie: %s", strerror(errno));
		if (fd >= 0)
			close(fd);
		return false;
	}
	close(fd);
	snprintf(dir, PATH_LEN, "%s/dsaa/%llx-%u", bpffs, (unsigned long long)cookie,
		 (unsigned)DSAA_FAST_LAYOUT);
	return true;
}

/* Makes the folder, and gives it to UID. */
static bool make_dir(const char *dir, uid_t uid, gid_t gid)
{
	char parent[PATH_LEN];

	snprintf(parent, sizeof(parent), "%s", dir);
	*strrchr(parent, '/') = '\0';
	return (mkdir(parent, 0700) == 0 || errno == EEXIST) && chown(parent, uid, gid) == 0 &&
	       (mkdir(dir, 0700) == 0 || errno == EEXIST) && chown(dir, uid, gid) == 0;
}

/*
 * The folder is kept open and reached through its descriptor: above it lies what only root may
 * enter, and the daemon removes its pins when it is root no more.
 */
static void open_dir(struct dsaa_fast *f, const char *bpffs, uid_t uid, gid_t gid)
{
	if (!pin_dir(bpffs, f->dir, f->no_pins, sizeof(f->no_pins)))
		return;
	if (make_dir(f->dir, uid, gid))
		f->dir_fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (f->dir_fd >= 0) {
		snprintf(f->dir, sizeof(f->dir), "/proc/self/fd/%d", f->dir_fd);
		return;
	}
	snprintf(f->no_pins, sizeof(f->no_pins), "%.80s: %s", f->dir, strerror(errno));
	f->dir[0] = '\0';
}

static void pin_path(char path[PATH_LEN], const char *dir, const struct bpf_map *map)
{
	/* both are short: the folder's name was made here */
	snprintf(path, PATH_LEN, "%.200s/%.40s", dir, bpf_map__name(map));
}

/* What a restart takes over: all but what nobody read in time. */
static bool is_kept(const struct bpf_map *map)
{
	return !bpf_map__is_internal(map) && bpf_map__type(map) != BPF_MAP_TYPE_RINGBUF;
}

/* A pinned map of the right form, or -1. */
static int pinned_map(const char *path, const struct bpf_map *map)
{
	struct bpf_map_info info = { 0 };
	uint32_t len = sizeof(info);
	int fd = bpf_obj_get(path);

	if (fd < 0)
		return -1;
	if (bpf_obj_get_info_by_fd(fd, &info, &len) == 0 && info.type == bpf_map__type(map) &&
	    info.key_size == bpf_map__key_size(map) &&
	    info.value_size == bpf_map__value_size(map) &&
	    info.max_entries == bpf_map__max_entries(map))
		return fd;
	close(fd);
	return -1;
}

/* Takes over what is pinned, all maps or none. */
static void reuse_maps(struct dsaa_fast *f)
{
	int fd[32], n = 0, i = 0;
	char path[PATH_LEN];
	struct bpf_map *map;
	bool all = f->dir[0] != '\0';

	bpf_object__for_each_map(map, f->skel->obj)
	{
		if (!all || !is_kept(map) || n == 32)
			continue;
		pin_path(path, f->dir, map);
		fd[n] = pinned_map(path, map);
		all = fd[n] >= 0;
		n += all;
	}
	bpf_object__for_each_map(map, f->skel->obj)
	{
		if (!all || !is_kept(map) || i == n)
			continue;
		bpf_map__reuse_fd(map, fd[i++]);
	}
	for (i = 0; i < n; i++)
		close(fd[i]);
	f->pinned = all && n > 0;
}

/* Removes the pins; the folder stays for a daemon that could not make it again. */
static void unpin(const char *dir)
{
	static const char *const names[] = { "control",	   "words",  "sites",	 "peers",
					     "ifaces",	   "ports",  "locals",	 "reasons",
					     "peers_seen", "filter", "prefixes", "prefixes_seen" };
	char path[PATH_LEN];
	unsigned i;

	for (i = 0; dir[0] && i < sizeof(names) / sizeof(names[0]); i++) {
		snprintf(path, sizeof(path), "%.200s/%.40s", dir, names[i]);
		unlink(path);
	}
}

static void pin_maps(struct dsaa_fast *f)
{
	char path[PATH_LEN];
	struct bpf_map *map;

	if (f->pinned || !f->dir[0])
		return;
	unpin(f->dir); /* of another form, or not all of them */
	f->pinned = true;
	bpf_object__for_each_map(map, f->skel->obj)
	{
		if (!is_kept(map))
			continue;
		pin_path(path, f->dir, map);
		if (bpf_obj_pin(bpf_map__fd(map), path) < 0) {
			snprintf(f->no_pins, sizeof(f->no_pins), "%.80s: %s", path,
				 strerror(errno));
			f->pinned = false;
		}
	}
}

/* ------------------------------------------------------------------ loading */

static uint32_t id_of(const struct bpf_program *prog)
{
	struct bpf_prog_info info = { 0 };
	uint32_t len = sizeof(info);

	return bpf_obj_get_info_by_fd(bpf_program__fd(prog), &info, &len) == 0 ? info.id : 0;
}

static const struct bpf_program *prog_of(const struct dsaa_fast *f, enum prog which)
{
	if (which == FROM_LINK)
		return f->skel->progs.dsaa_from_link;
	return which == TO_OWNER ? f->skel->progs.dsaa_to_owner : f->skel->progs.dsaa_from_peer;
}

static void put(const struct bpf_map *map, uint32_t key, const void *value)
{
	/* arrays: the key is in range and the kernel cannot refuse */
	bpf_map_update_elem(bpf_map__fd(map), &key, value, BPF_ANY);
}

/* What an earlier process left in the maps; zeros in new ones. */
static void read_maps(struct dsaa_fast *f)
{
	uint32_t site, zero = 0;

	for (site = 1; site < DSAA_FAST_SITES; site++)
		bpf_map_lookup_elem(bpf_map__fd(f->skel->maps.words), &site, &f->word[site]);
	bpf_map_lookup_elem(bpf_map__fd(f->skel->maps.control), &zero, &f->control);
	dsaa_fast_prefixes_read(f);
}

static bool map_filter(struct dsaa_fast *f, char *err, size_t errlen)
{
	f->filter = mmap(NULL, DSAA_FAST_FILTER_WORDS * sizeof(uint64_t), PROT_READ | PROT_WRITE,
			 MAP_SHARED, bpf_map__fd(f->skel->maps.filter), 0);
	if (f->filter != MAP_FAILED)
		return true;
	f->filter = NULL;
	snprintf(err, errlen, "the filter's memory: %s", strerror(errno));
	return false;
}

/* Addresses may have gone while nobody looked; those that are here will be told. */
static void forget_locals(struct dsaa_fast *f)
{
	int fd = bpf_map__fd(f->skel->maps.locals);
	struct dsaa_fast_addr key;

	while (bpf_map_get_next_key(fd, NULL, &key) == 0)
		if (bpf_map_delete_elem(fd, &key) < 0)
			break;
}

/* No packet needs to be looked up while there is none that could be carried. */
static void set_gate(struct dsaa_fast *f)
{
	uint32_t gate = 0, i;

	for (i = 1; i < DSAA_FAST_SITES; i++)
		if (f->word[i] == DSAA_WORD_ALIVE || f->word[i] == DSAA_WORD_UNREACHABLE)
			gate = f->foreign;
	f->open = gate;
	put(f->skel->maps.words, DSAA_FAST_GATE, &gate);
}

static bool load(struct dsaa_fast *f, char *err, size_t errlen)
{
	int rc;

	f->skel = dsaa_fast_bpf__open();
	if (!f->skel) {
		explain_load(err, errlen, -errno);
		return false;
	}
	reuse_maps(f);
	rc = dsaa_fast_bpf__load(f->skel);
	if (rc < 0) {
		explain_load(err, errlen, rc);
		return false;
	}
	f->prog_id[TO_OWNER] = id_of(prog_of(f, TO_OWNER));
	f->prog_id[FROM_PEER] = id_of(prog_of(f, FROM_PEER));
	f->prog_id[FROM_LINK] = id_of(prog_of(f, FROM_LINK));
	return true;
}

/* ------------------------------------------------------------------ seen elsewhere */

static int on_elsewhere(void *arg, void *data, size_t len)
{
	const struct dsaa_fast *f = arg;
	const struct dsaa_fast_elsewhere *e = data;
	struct dsaa_tuple t = { .sport = ntohs(e->sport), .dport = ntohs(e->dport) };

	if (len < sizeof(*e))
		return 0;
	memcpy(t.src, e->src, e->family == 4 ? 4 : 16);
	memcpy(t.dst, e->dst, e->family == 4 ? 4 : 16);
	f->on_elsewhere(e->family, e->proto, &t);
	return 0;
}

int dsaa_fast_elsewhere_fd(const struct dsaa_fast *f)
{
	return f->elsewhere ? ring_buffer__epoll_fd(f->elsewhere) : -1;
}

void dsaa_fast_elsewhere_read(struct dsaa_fast *f,
			      void (*cb)(uint8_t family, uint8_t proto, const struct dsaa_tuple *t))
{
	f->on_elsewhere = cb;
	/* what goes wrong with one turn, the next one reads */
	if (f->elsewhere)
		(void)ring_buffer__consume(f->elsewhere);
}

/* ------------------------------------------------------------------ load and close */

struct dsaa_fast *dsaa_fast_load(const char *bpffs, uid_t uid, gid_t gid, char *err, size_t errlen)
{
	struct dsaa_fast *f = calloc(1, sizeof(*f));
	int cpus;

	if (!f) {
		snprintf(err, errlen, "no memory");
		return NULL;
	}
	complaint[0] = '\0';
	libbpf_set_print(keep_complaint);
	pthread_mutex_init(&f->lock, NULL);
	cpus = libbpf_num_possible_cpus();
	f->cpus = cpus > 0 && cpus <= CPUS_MAX ? cpus : 1;
	f->foreign = true;
	f->dir_fd = -1;
	open_dir(f, bpffs ? bpffs : DSAA_FAST_BPFFS, uid, gid);
	dsaa_fast_net_wake_conntrack();
	if (!load(f, err, errlen) || !map_filter(f, err, errlen)) {
		dsaa_fast_close(f);
		return NULL;
	}
	f->elsewhere = ring_buffer__new(bpf_map__fd(f->skel->maps.elsewhere), on_elsewhere, f,
					NULL);
	dsaa_fast_hooks_open(&f->hooks);
	read_maps(f);
	set_gate(f);
	forget_locals(f);
	return f;
}

void dsaa_fast_close(struct dsaa_fast *f)
{
	if (!f)
		return;
	if (f->filter)
		munmap(f->filter, DSAA_FAST_FILTER_WORDS * sizeof(uint64_t));
	dsaa_fast_hooks_close(&f->hooks);
	ring_buffer__free(f->elsewhere);
	dsaa_fast_bpf__destroy(f->skel);
	if (f->dir_fd >= 0)
		close(f->dir_fd);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

/* ------------------------------------------------------------------ maps */

/* As bpf_tunnel_key wants it: IPv4 in host order, IPv6 as it is. */
static void to_tunnel(uint32_t out[4], const struct dsaa_addr *a)
{
	if (a->family == 6) {
		memcpy(out, a->bytes, 16);
	} else if (a->family == 4) {
		memcpy(out, a->bytes, 4);
		out[0] = ntohl(out[0]);
	}
}

static bool is_configured(const struct dsaa_fast_config *c, const struct dsaa_fast_addr *key,
			  uint32_t *site)
{
	unsigned i, j;

	for (i = 0; i < c->peers; i++)
		for (j = 0; j < c->peer[i].links; j++) {
			struct dsaa_fast_addr k = dsaa_fast_key(&c->peer[i].link[j].remote);

			*site = c->peer[i].site;
			if (memcmp(&k, key, sizeof(k)) == 0)
				return true;
		}
	return false;
}

static void fill_peers(struct dsaa_fast *f, const struct dsaa_fast_config *c)
{
	int fd = bpf_map__fd(f->skel->maps.peers);
	struct dsaa_fast_addr key, gone[DSAA_FAST_PEERS];
	unsigned i, j, n = 0;
	uint32_t site;
	void *from = NULL;

	while (n < DSAA_FAST_PEERS && bpf_map_get_next_key(fd, from, &key) == 0) {
		gone[n] = key;
		from = &gone[n];
		n++;
	}
	for (i = 0; i < n; i++)
		if (!is_configured(c, &gone[i], &site))
			bpf_map_delete_elem(fd, &gone[i]);
	for (i = 0; i < c->peers; i++)
		for (j = 0; j < c->peer[i].links; j++) {
			key = dsaa_fast_key(&c->peer[i].link[j].remote);
			site = c->peer[i].site;
			bpf_map_update_elem(fd, &key, &site, BPF_ANY);
		}
}

/* The program for tunnel packets hangs on the link. */
static bool is_served(const struct dsaa_fast *f, unsigned ifindex)
{
	unsigned i;

	for (i = 0; ifindex && i < DSAA_SITE_SYNC_ADDRESSES_MAX; i++)
		if (f->link[i] == ifindex)
			return true;
	return false;
}

static void fill_sites(struct dsaa_fast *f, const struct dsaa_fast_config *c)
{
	struct dsaa_fast_site sites[DSAA_FAST_SITES] = { 0 };
	unsigned i;

	for (i = 0; i < c->peers; i++) {
		const struct dsaa_fast_peer *p = &c->peer[i];
		const struct dsaa_fast_link *link = &p->link[p->send];
		struct dsaa_fast_site *s = &sites[p->site];

		if (p->links == 0)
			continue;
		s->family = link->remote.family;
		to_tunnel(s->remote, &link->remote);
		to_tunnel(s->local, &link->local);
		if (s->family == 4 && link->local.family == 4 && is_served(f, link->ifindex))
			s->ifindex = link->ifindex;
		if (s->family == 6)
			s->over = link->ifindex;
	}
	for (i = 0; i < DSAA_FAST_SITES; i++)
		put(f->skel->maps.sites, i, &sites[i]);
}

static void put_control(struct dsaa_fast *f)
{
	put(f->skel->maps.control, 0, &f->control);
}

static void fill_control(struct dsaa_fast *f, const struct dsaa_fast_config *c, unsigned vx)
{
	f->control.mark_mask = c->mark_mask;
	f->control.mark_shift = (uint32_t)__builtin_ctz(c->mark_mask);
	f->control.local_site = c->local_site;
	f->control.vx_ifindex = vx;
	f->control.tun_ifindex = if_nametoindex(c->tun_name);
	f->control.observe = c->observe;
	f->control.elsewhere = c->elsewhere;
	f->control.tunnel_port = htons(c->tunnel_port);
	put_control(f);
}

/* ------------------------------------------------------------------ device and filters */

static void complain(struct dsaa_fast_status *st, const char *what, const char *why)
{
	if (!st->why[0])
		snprintf(st->why, sizeof(st->why), "%s: %s", what, why);
}

/* The tunnel's device as it should be; made again when its port is another one. */
static bool make_device(const struct dsaa_fast_config *c, struct dsaa_fast_status *st)
{
	const uint8_t mac[6] = { 0x02, 0xd5, 0xaa, 0, 0, c->local_site };
	struct dsaa_fast_device d;
	int rc = dsaa_fast_net_device(DSAA_FAST_DEVICE, &d);

	if (rc == 0 &&
	    (!d.tunnel || d.port != c->tunnel_port || memcmp(d.mac, mac, sizeof(mac)) != 0)) {
		dsaa_fast_net_delete(d.ifindex);
		rc = -ENODEV;
	} else if (rc == 0 && !d.up) {
		rc = dsaa_fast_net_set_up(d.ifindex);
		st->repaired++;
	}
	if (rc == -ENODEV) {
		rc = dsaa_fast_net_create(DSAA_FAST_DEVICE, c->tunnel_port, mac);
		if (rc == 0)
			rc = dsaa_fast_net_device(DSAA_FAST_DEVICE, &d);
	}
	if (rc == 0) {
		st->vx_ifindex = d.ifindex;
		return true;
	}
	st->port_in_use = rc == -EADDRINUSE;
	if (rc == -EADDRINUSE)
		snprintf(st->why, sizeof(st->why), "UDP port %u is in use by another program",
			 c->tunnel_port);
	else if (rc == -EEXIST)
		snprintf(st->why, sizeof(st->why),
			 "another VXLAN device in external mode has UDP port %u", c->tunnel_port);
	else if (rc == -EOPNOTSUPP)
		snprintf(st->why, sizeof(st->why), "the kernel has no VXLAN (module vxlan)");
	else
		snprintf(st->why, sizeof(st->why), "VXLAN device " DSAA_FAST_DEVICE ": %s",
			 strerror(-rc));
	return false;
}

/* Sees to it that program WHICH hangs on the interface; *MADE is only ever set. */
static bool attach(struct dsaa_fast *f, unsigned ifindex, enum prog which, bool *made,
		   const char *name, struct dsaa_fast_status *st)
{
	bool new_qdisc = false;
	int rc;

	if (dsaa_fast_hook_is(&f->hooks, ifindex, f->prog_id[which]))
		return true;
	rc = dsaa_fast_hook_attach(&f->hooks, ifindex, bpf_program__fd(prog_of(f, which)),
				   &new_qdisc);
	*made |= new_qdisc;
	if (rc < 0)
		complain(st, name,
			 rc == -EPERM ? "no permission to attach the program" : strerror(-rc));
	return rc == 0;
}

static int detach(struct dsaa_fast *f, unsigned ifindex, bool qdisc)
{
	return dsaa_fast_hook_detach(&f->hooks, ifindex, bpf_program__fd(prog_of(f, TO_OWNER)),
				     qdisc);
}

static bool get_port(struct dsaa_fast *f, uint32_t ifindex, struct dsaa_fast_port *port)
{
	return bpf_map_lookup_elem(bpf_map__fd(f->skel->maps.ports), &ifindex, port) == 0;
}

static const uint8_t tap_mac[] = DSAA_MAC_PREFIX;

/* Attaches or detaches, as PORT and the gate want; PORT then says how it is. */
static bool serve_port(struct dsaa_fast *f, unsigned ifindex, struct dsaa_fast_port *port,
		       const char *name, struct dsaa_fast_status *st)
{
	bool made = port->made_qdisc, ok = true;

	if (!port->caught || !st->attached) {
		if (!port->attached)
			return true;
		detach(f, ifindex, port->made_qdisc);
		port->attached = port->made_qdisc = false;
		return true;
	}
	if (port->attached && !dsaa_fast_hook_is(&f->hooks, ifindex, f->prog_id[TO_OWNER]) &&
	    f->applied)
		st->repaired++;
	ok = attach(f, ifindex, TO_OWNER, &made, name, st);
	port->attached = ok;
	port->made_qdisc = made;
	return ok;
}

/* Interface number N of the configuration, in maps and with its program. */
static void serve_iface(struct dsaa_fast *f, const struct dsaa_fast_config *c, unsigned n,
			struct dsaa_fast_status *st)
{
	const struct dsaa_fast_ifname *in = &c->iface[n - 1];
	struct dsaa_fast_iface iface = { 0 };
	struct dsaa_fast_port port = { 0 };
	struct dsaa_fast_device d;
	uint32_t key;

	if (dsaa_fast_net_device(in->name, &d) < 0) {
		put(f->skel->maps.ifaces, n, &iface);
		return;
	}
	iface.ifindex = key = d.ifindex;
	iface.ethernet = d.ethernet;
	memcpy(iface.mac, d.mac, sizeof(iface.mac));
	if (!d.ethernet) {
		/* that of the TAP device, through which its packets come in */
		memset(iface.mac, 0, sizeof(iface.mac));
		memcpy(iface.mac, tap_mac, sizeof(tap_mac));
		complain(st, in->name, "has no Ethernet header, so the slow path serves it");
		put(f->skel->maps.ifaces, n, &iface);
		return;
	}
	get_port(f, key, &port);
	port.iface = n;
	port.caught = in->caught;
	/* the maps first: the program finds its interface with the first packet */
	bpf_map_update_elem(bpf_map__fd(f->skel->maps.ports), &key, &port, BPF_ANY);
	put(f->skel->maps.ifaces, n, &iface);
	st->kernel[n - 1] = serve_port(f, key, &port, in->name, st);
	bpf_map_update_elem(bpf_map__fd(f->skel->maps.ports), &key, &port, BPF_ANY);
}

/* The interfaces in the map: how many, with their ifindexes in KEYS. */
static unsigned list_ports(int fd, uint32_t keys[DSAA_FAST_PORTS])
{
	void *from = NULL;
	unsigned n = 0;

	while (n < DSAA_FAST_PORTS && bpf_map_get_next_key(fd, from, &keys[n]) == 0) {
		from = &keys[n];
		n++;
	}
	return n;
}

static bool is_wanted(const struct dsaa_fast_config *c, unsigned ifindex)
{
	unsigned i;

	for (i = 0; c && i < c->ifaces; i++)
		if (if_nametoindex(c->iface[i].name) == ifindex)
			return true;
	return false;
}

/*
 * Takes the program (-1: only leftovers) off interfaces that CONFIG (NULL: none) does not name; of
 * those in map FD.
 */
static int forget_ports(struct dsaa_fast_hooks *h, int prog_fd, int fd,
			const struct dsaa_fast_config *c)
{
	uint32_t keys[DSAA_FAST_PORTS];
	unsigned n = list_ports(fd, keys), i;
	struct dsaa_fast_port port;
	int rc = 0, one;

	for (i = 0; i < n; i++) {
		if (is_wanted(c, keys[i]) || bpf_map_lookup_elem(fd, &keys[i], &port) < 0)
			continue;
		one = port.attached ? dsaa_fast_hook_detach(h, keys[i], prog_fd, port.made_qdisc) :
				      0;
		rc = rc ? rc : one;
		bpf_map_delete_elem(fd, &keys[i]);
	}
	return rc;
}

/* ------------------------------------------------------------------ site-sync interfaces */

static bool has_link(const struct dsaa_fast_config *c, unsigned ifindex)
{
	unsigned i, j;

	for (i = 0; c && i < c->peers; i++)
		for (j = 0; j < c->peer[i].links; j++)
			if (c->peer[i].link[j].ifindex == ifindex)
				return true;
	return false;
}

/* Has the program there, if it can read the frames. */
static void serve_link(struct dsaa_fast *f, unsigned ifindex, struct dsaa_fast_status *st)
{
	char name[IF_NAMESIZE];
	struct dsaa_fast_device d;
	bool unused = false;
	unsigned i = 0;

	if (!ifindex || !if_indextoname(ifindex, name) || dsaa_fast_net_device(name, &d) < 0 ||
	    !d.ethernet)
		return;
	while (!is_served(f, ifindex) && i < DSAA_SITE_SYNC_ADDRESSES_MAX && f->link[i])
		i++;
	if (i == DSAA_SITE_SYNC_ADDRESSES_MAX || !attach(f, ifindex, FROM_LINK, &unused, name, st))
		return;
	if (!is_served(f, ifindex))
		f->link[i] = ifindex;
}

/*
 * Takes the program off the interfaces that CONFIG (NULL: none) does not name. Whatever fails, the
 * interface is gone or nothing is there.
 */
static void forget_links(struct dsaa_fast *f, const struct dsaa_fast_config *c)
{
	unsigned i;

	for (i = 0; i < DSAA_SITE_SYNC_ADDRESSES_MAX; i++) {
		if (!f->link[i] || has_link(c, f->link[i]))
			continue;
		dsaa_fast_hook_detach_one(f->link[i], bpf_program__fd(prog_of(f, FROM_LINK)));
		f->link[i] = 0;
	}
}

/*
 * Beside other programs by tcx only. Not with IPsec: whether a packet should have come encrypted,
 * the stack knows.
 */
static void serve_links(struct dsaa_fast *f, const struct dsaa_fast_config *c,
			struct dsaa_fast_status *st)
{
	unsigned i, j;

	if (!f->hooks.tcx)
		st->not_straight = "the kernel has no tcx (Linux 6.6)";
	else if (dsaa_fast_net_ipsec())
		st->not_straight = "IPsec policies exist";
	forget_links(f, st->not_straight ? NULL : c);
	for (i = 0; !st->not_straight && i < c->peers; i++)
		for (j = 0; j < c->peer[i].links; j++)
			serve_link(f, c->peer[i].link[j].ifindex, st);
	memcpy(st->straight, f->link, sizeof(st->straight));
}

/* ------------------------------------------------------------------ applying */

/* Why CONFIG cannot be applied, or NULL. */
static const char *config_wrong(const struct dsaa_fast_config *c)
{
	unsigned i, j;

	if (c->local_site == 0 || c->local_site > DSAA_SITES_MAX)
		return "the local site has no number";
	if (!dsaa_mark_mask_valid(c->mark_mask) || c->tunnel_port == 0)
		return "the mark mask or the tunnel's port is out of range";
	if (c->peers > DSAA_SITES_MAX || c->ifaces > DSAA_IFACES_MAX ||
	    c->prefixes > DSAA_COUNTED_PREFIXES_MAX)
		return "more sites, interfaces or prefixes than the limits allow";
	if (!memchr(c->tun_name, '\0', sizeof(c->tun_name)))
		return "the TAP device's name is too long";
	for (i = 0; i < c->ifaces; i++)
		if (!c->iface[i].name[0] || !memchr(c->iface[i].name, '\0', DSAA_FAST_NAME_LEN))
			return "an interface has no name";
	for (i = 0; i < c->peers; i++) {
		const struct dsaa_fast_peer *p = &c->peer[i];

		if (p->site == 0 || p->site > DSAA_SITES_MAX || p->site == c->local_site ||
		    p->links > DSAA_SITE_SYNC_ADDRESSES_MAX || (p->links && p->send >= p->links))
			return "a peer's number or links are out of range";
		for (j = 0; j < p->links; j++)
			if (p->link[j].remote.family != 4 && p->link[j].remote.family != 6)
				return "a peer's sync-address is no address";
	}
	return NULL;
}

bool dsaa_fast_apply(struct dsaa_fast *f, const struct dsaa_fast_config *c,
		     struct dsaa_fast_status *st)
{
	static const struct dsaa_fast_iface none;
	const char *wrong = config_wrong(c);
	bool unused = false;
	unsigned n;

	memset(st, 0, sizeof(*st));
	if (wrong) {
		snprintf(st->why, sizeof(st->why), "%s", wrong);
		return false;
	}
	if (!make_device(c, st))
		return false;
	pin_maps(f);
	st->pinned = f->pinned;
	fill_control(f, c, st->vx_ifindex);
	fill_sites(f, c); /* before anything is sent there */
	fill_peers(f, c);
	dsaa_fast_prefixes_fill(f, c);
	if (!attach(f, st->vx_ifindex, FROM_PEER, &unused, DSAA_FAST_DEVICE, st))
		return false;
	st->running = true;
	pthread_mutex_lock(&f->lock);
	st->attached = f->open;
	pthread_mutex_unlock(&f->lock);
	/* first what goes, then what comes: an interface may take the number of another */
	forget_ports(&f->hooks, bpf_program__fd(prog_of(f, TO_OWNER)),
		     bpf_map__fd(f->skel->maps.ports), c);
	for (n = 1; n <= c->ifaces; n++)
		serve_iface(f, c, n, st);
	for (; n < DSAA_FAST_IFACES; n++)
		put(f->skel->maps.ifaces, n, &none);
	serve_links(f, c, st);
	fill_sites(f, c); /* by which links is known now */
	/* what is left then hangs where nothing is wanted any more */
	dsaa_fast_hooks_sweep(&f->hooks);
	if (!f->pinned)
		complain(st, "what the kernel knows is lost when dsaad restarts", f->no_pins);
	f->applied = true;
	return true;
}

/* ------------------------------------------------------------------ removal */

/* Filters first, so that nothing is sent any more; then the device, which ends the tunnel. */
static bool take_away(struct dsaa_fast_hooks *h, int prog_fd, int ports_fd, const char *dir,
		      char *err, size_t errlen)
{
	struct dsaa_fast_device d;
	int rc = ports_fd >= 0 ? forget_ports(h, prog_fd, ports_fd, NULL) : 0;

	if (dsaa_fast_net_device(DSAA_FAST_DEVICE, &d) == 0 && d.tunnel && rc == 0)
		rc = dsaa_fast_net_delete(d.ifindex);
	unpin(dir);
	if (rc < 0)
		snprintf(err, errlen, "the fast path could not be removed: %s", strerror(-rc));
	return rc == 0;
}

bool dsaa_fast_remove(struct dsaa_fast *f, char *err, size_t errlen)
{
	bool ok;

	forget_links(f, NULL);
	ok = take_away(&f->hooks, bpf_program__fd(prog_of(f, TO_OWNER)),
		       bpf_map__fd(f->skel->maps.ports), f->dir, err, errlen);

	f->pinned = f->applied = false;
	return ok;
}

/* Without the map that says where: looks at every interface. */
static void sweep_hooks(struct dsaa_fast_hooks *h)
{
	struct if_nameindex *all = if_nameindex(), *i;

	for (i = all; i && i->if_index; i++)
		dsaa_fast_hook_detach(h, i->if_index, -1, false);
	if_freenameindex(all);
}

bool dsaa_fast_sweep(const char *bpffs, char *err, size_t errlen)
{
	char dir[PATH_LEN], path[PATH_LEN + 8], why[128];
	struct dsaa_fast_hooks hooks;
	int fd = -1;
	bool ok;

	libbpf_set_print(keep_complaint);
	dsaa_fast_hooks_open(&hooks);
	if (pin_dir(bpffs ? bpffs : DSAA_FAST_BPFFS, dir, why, sizeof(why))) {
		snprintf(path, sizeof(path), "%s/ports", dir);
		fd = bpf_obj_get(path);
	}
	ok = take_away(&hooks, -1, fd, dir, err, errlen);
	if (fd >= 0)
		close(fd);
	sweep_hooks(&hooks);
	dsaa_fast_hooks_close(&hooks);
	if (dir[0])
		rmdir(dir);
	return ok;
}

/* ------------------------------------------------------------------ what changes meanwhile */

void dsaa_fast_set_word(struct dsaa_fast *f, dsaa_site_id site, enum dsaa_site_word word)
{
	uint32_t value = word;

	if (site == 0 || site > DSAA_SITES_MAX)
		return;
	pthread_mutex_lock(&f->lock);
	f->word[site] = value;
	put(f->skel->maps.words, site, &value);
	set_gate(f);
	pthread_mutex_unlock(&f->lock);
}

enum dsaa_site_word dsaa_fast_get_word(struct dsaa_fast *f, dsaa_site_id site)
{
	uint32_t word = DSAA_WORD_UNKNOWN;

	if (site > 0 && site <= DSAA_SITES_MAX) {
		pthread_mutex_lock(&f->lock);
		word = f->word[site];
		pthread_mutex_unlock(&f->lock);
	}
	return (enum dsaa_site_word)word;
}

void dsaa_fast_set_foreign(struct dsaa_fast *f, bool any)
{
	pthread_mutex_lock(&f->lock);
	f->foreign = any;
	set_gate(f);
	pthread_mutex_unlock(&f->lock);
}

bool dsaa_fast_address(struct dsaa_fast *f, const struct dsaa_addr *addr, bool added)
{
	int fd = bpf_map__fd(f->skel->maps.locals);
	struct dsaa_fast_addr key = dsaa_fast_key(addr);
	uint32_t one = 1;

	if (added)
		return bpf_map_update_elem(fd, &key, &one, BPF_ANY) == 0;
	bpf_map_delete_elem(fd, &key);
	return true;
}

/* ------------------------------------------------------------------ filter */

/*
 * Most are told twice (dsaa_fast.h): the second time costs no locked access. A bit that is
 * found set just before the filter is emptied is lost like one that is set then, at the first time.
 */
static void set_bit(struct dsaa_fast *f, struct dsaa_fast_bit b)
{
	if (!(__atomic_load_n(&f->filter[b.word], __ATOMIC_RELAXED) & b.bit))
		__atomic_fetch_or(&f->filter[b.word], b.bit, __ATOMIC_RELAXED);
}

static uint32_t fold(const uint8_t bytes[16], uint8_t family)
{
	uint32_t words[4];

	memcpy(words, bytes, family == 4 ? 4 : 16);
	return family == 4 ? words[0] : dsaa_fast_fold(words);
}

void dsaa_fast_filter_add(struct dsaa_fast *f, uint8_t family, const struct dsaa_tuple *t)
{
	set_bit(f, dsaa_fast_filter_bit(fold(t->src, family), fold(t->dst, family), htons(t->sport),
					htons(t->dport)));
}

static void use_filter(struct dsaa_fast *f, bool use)
{
	f->control.filter = use;
	put_control(f);
}

void dsaa_fast_filter_reset(struct dsaa_fast *f)
{
	unsigned i;

	use_filter(f, false);
	for (i = 0; i < DSAA_FAST_FILTER_WORDS; i++)
		__atomic_store_n(&f->filter[i], 0, __ATOMIC_RELAXED);
}

void dsaa_fast_filter_complete(struct dsaa_fast *f)
{
	use_filter(f, true);
}

bool dsaa_fast_filter_is_complete(const struct dsaa_fast *f)
{
	return f->control.filter;
}

unsigned dsaa_fast_filter_full(const struct dsaa_fast *f)
{
	enum { SAMPLE = 1024, STEP = DSAA_FAST_FILTER_WORDS / SAMPLE };
	unsigned i, bits = 0;

	/* the hash spreads them evenly */
	for (i = 0; i < SAMPLE; i++)
		bits += __builtin_popcountll(
			__atomic_load_n(&f->filter[i * STEP], __ATOMIC_RELAXED));
	return bits * 100 / (SAMPLE * 64);
}
