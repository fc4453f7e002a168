/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A packet of the network, and the header of the correction tunnel before it. */
#include "core/dsaa_encap.h"
#include "core/dsaa_packet.h"
#include "core/dsaa_reason.h"
#include "tests/fuzz/fuzz.h"

static void parse(const uint8_t *data, size_t size)
{
	struct dsaa_packet p;
	struct dsaa_tuple back, again;

	if (dsaa_packet_parse(data, size, &p) != DSAA_R_NONE)
		return;
	FUZZ_CHECK(p.family == 4 || p.family == 6);
	FUZZ_CHECK(p.total_len <= size);
	/* a tuple that has an other direction comes back from it */
	if (dsaa_tuple_reverse(p.tuple_proto, &p.tuple, &back) &&
	    dsaa_tuple_reverse(p.tuple_proto, &back, &again))
		FUZZ_CHECK(!memcmp(&p.tuple, &again, sizeof(again)));
}

static void decode(const uint8_t *data, size_t size)
{
	struct dsaa_encap e, back;
	/* the decoder looks at the packet behind the header as well */
	uint8_t *copy;

	if (dsaa_encap_decode(data, size, &e) != DSAA_R_NONE)
		return;
	FUZZ_CHECK(size >= DSAA_ENCAP_LEN);
	FUZZ_CHECK(e.from >= 1 && e.from <= DSAA_SITES_MAX && e.to >= 1 && e.to <= DSAA_SITES_MAX &&
		   (e.family == 4 || e.family == 6));
	copy = malloc(size);
	memcpy(copy, data, size);
	dsaa_encap_encode(copy, &e);
	FUZZ_CHECK(dsaa_encap_decode(copy, size, &back) == DSAA_R_NONE);
	FUZZ_CHECK(back.iface == e.iface && back.second_chance == e.second_chance &&
		   back.from == e.from && back.to == e.to && back.family == e.family);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	parse(data, size);
	decode(data, size);
	if (size > DSAA_ENCAP_LEN)
		parse(data + DSAA_ENCAP_LEN, size - DSAA_ENCAP_LEN);
	return 0;
}
