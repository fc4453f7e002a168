/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The correction tunnel's header, see dsaa_encap.h. Pure; any thread.
 */
#include <string.h>

#include "core/dsaa_buf.h"
#include "core/dsaa_encap.h"
#include "core/dsaa_reason.h"

#define VXLAN_FLAG_VNI 0x08 /* RFC 7348 5: the VNI is valid; all other bits are reserved */
#define VNI_IFACE_MASK 0xffffu
#define ETHERTYPE_IP4  0x0800
#define ETHERTYPE_IP6  0x86dd

static const uint8_t mac_prefix[5] = { 0x02, 0xd5, 0xaa, 0x00, 0x00 };

static void write_mac(struct dsaa_writer *w, dsaa_site_id site)
{
	dsaa_writer_bytes(w, mac_prefix, sizeof(mac_prefix));
	dsaa_writer_u8(w, site);
}

void dsaa_encap_encode(uint8_t buf[DSAA_ENCAP_LEN], const struct dsaa_encap *e)
{
	uint32_t vni = e->iface | (e->second_chance ? DSAA_VNI_SECOND_CHANCE : 0);
	struct dsaa_writer w;

	dsaa_writer_init(&w, buf, DSAA_ENCAP_LEN);
	dsaa_writer_u32(&w, (uint32_t)VXLAN_FLAG_VNI << 24);
	dsaa_writer_u32(&w, vni << 8);
	write_mac(&w, e->to);
	write_mac(&w, e->from);
	dsaa_writer_u16(&w, e->family == 4 ? ETHERTYPE_IP4 : ETHERTYPE_IP6);
}

/* The site in the last byte of our kind of MAC address, or 0. */
static dsaa_site_id read_mac(struct dsaa_reader *r)
{
	uint8_t mac[6];

	dsaa_reader_bytes(r, mac, sizeof(mac));
	if (memcmp(mac, mac_prefix, sizeof(mac_prefix)) != 0 || mac[5] > DSAA_SITES_MAX)
		return 0;
	return mac[5];
}

/*
 * True when LEN bytes at P hold a packet of FAMILY as long as it says. More
 * bytes may follow: a short Ethernet frame is padded.
 */
static bool inner_fits(uint8_t family, const uint8_t *p, size_t len)
{
	size_t total, header;

	if (family == 4) {
		if (len < 20 || p[0] >> 4 != 4)
			return false;
		header = (size_t)(p[0] & 0x0f) * 4;
		total = (size_t)p[2] << 8 | p[3];
		return header >= 20 && total >= header && total <= len;
	}
	if (len < 40 || p[0] >> 4 != 6)
		return false;
	return 40 + ((size_t)p[4] << 8 | p[5]) <= len;
}

unsigned dsaa_encap_decode(const uint8_t *buf, size_t len, struct dsaa_encap *e)
{
	struct dsaa_encap out = { 0 };
	uint32_t flags, vni_word, vni;
	struct dsaa_reader r;
	uint16_t ethertype;

	if (len < DSAA_ENCAP_LEN)
		return DSAA_R_RX_MALFORMED;
	dsaa_reader_init(&r, buf, DSAA_ENCAP_LEN);
	flags = dsaa_reader_u32(&r);
	vni_word = dsaa_reader_u32(&r);
	out.to = read_mac(&r);
	out.from = read_mac(&r);
	ethertype = dsaa_reader_u16(&r);
	vni = vni_word >> 8;
	if (flags != (uint32_t)VXLAN_FLAG_VNI << 24 || (vni_word & 0xff) != 0 ||
	    (vni & ~(DSAA_VNI_SECOND_CHANCE | VNI_IFACE_MASK)) != 0)
		return DSAA_R_RX_MALFORMED;
	out.iface = (uint16_t)(vni & VNI_IFACE_MASK);
	out.second_chance = (vni & DSAA_VNI_SECOND_CHANCE) != 0;
	if (out.iface == 0 || out.iface > DSAA_IFACES_MAX || out.from == 0 || out.to == 0)
		return DSAA_R_RX_MALFORMED;
	if (ethertype != ETHERTYPE_IP4 && ethertype != ETHERTYPE_IP6)
		return DSAA_R_RX_MALFORMED;
	out.family = ethertype == ETHERTYPE_IP4 ? 4 : 6;
	if (!inner_fits(out.family, buf + DSAA_ENCAP_LEN, len - DSAA_ENCAP_LEN))
		return DSAA_R_RX_MALFORMED;
	*e = out;
	return DSAA_R_NONE;
}
