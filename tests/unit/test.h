/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The few lines that a unit test needs: CHECK counts and says where it
 * failed, TEST_END prints the sum and gives the exit code of main.
 */
#ifndef DSAA_TEST_H
#define DSAA_TEST_H

#include <stdint.h>
#include <stdio.h>
#include <string.h>

static unsigned test_passed, test_failed;

/* Counts CONDITION; only the first 20 failures are told, the rest is noise. */
#define CHECK(condition)                                                               \
	do {                                                                           \
		if (condition)                                                         \
			test_passed++;                                                 \
		else if (test_failed++ < 20)                                           \
			printf("%s:%d: failed: %s\n", __FILE__, __LINE__, #condition); \
	} while (0)

static inline int test_end(void)
{
	printf("%u passed, %u failed\n", test_passed, test_failed);
	return test_failed ? 1 : 0;
}
#define TEST_END() test_end()

/* splitmix64 from a fixed seed: every run sees the same values. */
static uint64_t test_seed = 1;

static inline uint64_t test_random(void)
{
	uint64_t z = (test_seed += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

#endif
