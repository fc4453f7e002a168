/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sends one UDP packet over and over by an interface and tells what that cost:
 * the processor time of this thread, in which the kernel does all of the
 * packet's way as long as it stays on one virtual machine's veth devices.
 *
 * usage: blast IFNAME DESTINATION-MAC SOURCE DESTINATION SPORT DPORT COUNT
 *	IPv4; prints "PACKETS NANOSECONDS", all of the thread's time.
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
	PAYLOAD = 22,
	BATCH = 32,
	LEN = ETH_HLEN + sizeof(struct iphdr) + sizeof(struct udphdr) + PAYLOAD
};

static uint8_t packet[LEN];

static uint16_t checksum(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;
	size_t i;

	for (i = 0; i + 1 < len; i += 2)
		sum += (uint32_t)p[i] << 8 | p[i + 1];
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return htons(~sum & 0xffff);
}

static void make_packet(char **arg)
{
	struct ethhdr *eth = (struct ethhdr *)packet;
	struct iphdr *ip = (struct iphdr *)(eth + 1);
	struct udphdr *udp = (struct udphdr *)(ip + 1);

	if (sscanf(arg[2], "%hhx:%hhx:%hhx:%hhx:%hhx:%hhx", &eth->h_dest[0], &eth->h_dest[1],
		   &eth->h_dest[2], &eth->h_dest[3], &eth->h_dest[4], &eth->h_dest[5]) != 6)
		exit(2);
	eth->h_source[0] = 2;
	eth->h_proto = htons(ETH_P_IP);
	ip->version = 4;
	ip->ihl = 5;
	ip->ttl = 64;
	ip->protocol = IPPROTO_UDP;
	ip->tot_len = htons(LEN - ETH_HLEN);
	ip->saddr = inet_addr(arg[3]);
	ip->daddr = inet_addr(arg[4]);
	ip->check = checksum((uint8_t *)ip, sizeof(*ip));
	udp->source = htons(atoi(arg[5]));
	udp->dest = htons(atoi(arg[6]));
	udp->len = htons(sizeof(*udp) + PAYLOAD);
}

static uint64_t now_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

int main(int argc, char **argv)
{
	struct iovec iov = { packet, LEN };
	struct sockaddr_ll to = { .sll_family = AF_PACKET };
	struct mmsghdr msgs[BATCH] = { 0 };
	int fd = socket(AF_PACKET, SOCK_RAW, 0), one = 1, i;
	long sent = 0, count;
	uint64_t start;

	if (fd < 0)
		return 2;
	if (argc != 8) {
		close(fd);
		return 2;
	}
	make_packet(argv);
	count = atol(argv[7]);
	to.sll_ifindex = (int)if_nametoindex(argv[1]);
	/* straight to the driver */
	setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one));
	if (bind(fd, (struct sockaddr *)&to, sizeof(to)) < 0) {
		close(fd);
		return 2;
	}
	for (i = 0; i < BATCH; i++) {
		msgs[i].msg_hdr.msg_iov = &iov;
		msgs[i].msg_hdr.msg_iovlen = 1;
	}
	start = now_ns(CLOCK_THREAD_CPUTIME_ID);
	while (sent < count) {
		int n = sendmmsg(fd, msgs, BATCH, 0);

		if (n > 0)
			sent += n;
	}
	printf("%ld %llu\n", sent, (unsigned long long)(now_ns(CLOCK_THREAD_CPUTIME_ID) - start));
	close(fd);
	return 0;
}
