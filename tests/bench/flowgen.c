/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The load of sync.py: opens TCP connections through a router, three packets
 * each (SYN, SYN-ACK, ACK), at a fixed pace. The packets enter the router by
 * two TUN devices, one for the clients' side and one for the server's, so a
 * packet costs one system call and the router's own work, and nothing else.
 * What the router forwards is left unread in the devices, which drop it.
 *
 * Runs in the router's namespace. One thread.
 *
 * usage: flowgen CLIENT-TUN SERVER-TUN CONNECTIONS PER-SECOND BATCH
 * prints the connections, the seconds they took and the processor seconds
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <net/if.h>

#include <linux/if_tun.h>

#include "flows.h"

enum { PACKET_LEN = 40, BATCH_MAX = 1024, SYN = 0x02, ACK = 0x10 };

/* The three packets of a connection; sequence numbers as a kernel would choose them. */
static const struct packet {
	int from_server;
	uint8_t flags;
	uint32_t seq, ack;
} packets[] = {
	{ 0, SYN, 1000, 0 },
	{ 1, SYN | ACK, 5000, 1001 },
	{ 0, ACK, 1001, 5001 },
};

static void die(const char *what)
{
	perror(what);
	exit(1);
}

/* Attaches to the TUN device NAME, which is there already. */
static int open_tun(const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", name);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &ifr) < 0)
		die(name);
	return fd;
}

static double seconds(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void put16(uint8_t *at, uint32_t v)
{
	at[0] = (uint8_t)(v >> 8);
	at[1] = (uint8_t)v;
}

static void put32(uint8_t *at, uint32_t v)
{
	put16(at, v >> 16);
	put16(at + 2, v);
}

/* The Internet checksum of LEN (even) bytes, added to SUM. */
static uint32_t checksum(const uint8_t *at, size_t len, uint32_t sum)
{
	for (size_t i = 0; i < len; i += 2)
		sum += (uint32_t)at[i] << 8 | at[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}

/* An IPv4 and a TCP header without options. */
static void build(uint8_t *at, uint32_t connection, const struct packet *p)
{
	uint32_t client = flow_client(connection), sport = flow_port(connection);
	uint8_t *tcp = at + 20;

	memset(at, 0, PACKET_LEN);
	at[0] = 0x45;
	put16(at + 2, PACKET_LEN);
	at[8] = 64;
	at[9] = 6;
	put32(at + (p->from_server ? 16 : 12), client);
	put32(at + (p->from_server ? 12 : 16), FLOW_SERVER);
	put16(at + 10, checksum(at, 20, 0));
	put16(tcp + (p->from_server ? 2 : 0), sport);
	put16(tcp + (p->from_server ? 0 : 2), FLOW_SERVER_PORT);
	put32(tcp + 4, p->seq);
	put32(tcp + 8, p->ack);
	tcp[12] = 5 << 4;
	tcp[13] = p->flags;
	put16(tcp + 14, 65000);
	/* the pseudo header: addresses, protocol, length */
	put16(tcp + 16, checksum(at + 12, 28, 6 + 20));
}

static void send_batch(const int tun[2], uint32_t first, uint32_t count)
{
	uint8_t packet[PACKET_LEN];

	for (size_t p = 0; p < sizeof(packets) / sizeof(packets[0]); p++) {
		for (uint32_t i = 0; i < count; i++) {
			build(packet, first + i, &packets[p]);
			while (write(tun[packets[p].from_server], packet, PACKET_LEN) < 0)
				if (errno != EAGAIN && errno != ENOBUFS)
					die("write");
		}
	}
}

static void wait_until(double due)
{
	double left = due - seconds(CLOCK_MONOTONIC);
	struct timespec ts;

	if (left <= 0)
		return;
	ts.tv_sec = (time_t)left;
	ts.tv_nsec = (long)((left - (double)ts.tv_sec) * 1e9);
	nanosleep(&ts, NULL);
}

int main(int argc, char **argv)
{
	uint32_t count, batch;
	double rate, begin;
	int tun[2];

	if (argc != 6)
		return 2;
	tun[0] = open_tun(argv[1]);
	tun[1] = open_tun(argv[2]);
	count = (uint32_t)atol(argv[3]);
	rate = atof(argv[4]);
	batch = (uint32_t)atol(argv[5]);
	if (!batch || batch > BATCH_MAX || count > FLOWS_MAX || rate <= 0)
		return 2;
	begin = seconds(CLOCK_MONOTONIC);
	for (uint32_t done = 0; done < count;) {
		uint32_t n = count - done < batch ? count - done : batch;

		send_batch(tun, done, n);
		done += n;
		wait_until(begin + done / rate);
	}
	printf("%u %.4f %.4f\n", count, seconds(CLOCK_MONOTONIC) - begin,
	       seconds(CLOCK_PROCESS_CPUTIME_ID));
	return 0;
}
