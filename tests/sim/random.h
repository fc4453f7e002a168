/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The one source of chance of a simulated world: splitmix64, so that a seed is a whole run. */
#ifndef TESTS_SIM_RANDOM_H
#define TESTS_SIM_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

struct sim_random {
	uint64_t state;
};

static inline uint64_t sim_random_u64(struct sim_random *r)
{
	uint64_t z = (r->state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* A number from 0 to N - 1. */
static inline unsigned sim_random_below(struct sim_random *r, unsigned n)
{
	return (unsigned)(sim_random_u64(r) % n);
}

/* A number from LOW to HIGH. */
static inline unsigned sim_random_range(struct sim_random *r, unsigned low, unsigned high)
{
	return low + sim_random_below(r, high - low + 1);
}

/* True once in N. */
static inline bool sim_random_once_in(struct sim_random *r, unsigned n)
{
	return sim_random_below(r, n) == 0;
}

#endif
