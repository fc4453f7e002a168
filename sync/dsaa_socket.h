/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Sockets of the sync transport: making them, their options, addresses.
 * Private to sync/. All descriptors are non-blocking and close-on-exec.
 * Functions that make one return it, or -1 with errno.
 */
#ifndef DSAA_SOCKET_H
#define DSAA_SOCKET_H

#include "core/dsaa_types.h"

/*
 * Listens on ADDR and PORT, also while the address is not there yet (free
 * bind). MULTIPATH: with MPTCP where the kernel has it; plain TCP peers can
 * connect to that as well.
 */
int dsaa_socket_listen(const struct dsaa_addr *addr, uint16_t port, bool multipath);

/*
 * Begins to connect from LOCAL (any port) to REMOTE and PORT. The result comes
 * with writability, see dsaa_socket_error().
 */
int dsaa_socket_connect(const struct dsaa_addr *local, const struct dsaa_addr *remote,
			uint16_t port, bool multipath, uint32_t user_timeout_ms);

/* Takes a connection from the listening FD; *REMOTE is where it comes from. */
int dsaa_socket_accept(int fd, struct dsaa_addr *remote, uint32_t user_timeout_ms);

/* Takes the error that waits on FD: an errno, or 0. */
int dsaa_socket_error(int fd);

/* Closes FD with a reset: nothing of the connection stays in the kernel. */
void dsaa_socket_abort(int fd);

/* True when FD and its peer speak MPTCP (not fallen back to TCP). */
bool dsaa_socket_is_multipath(int fd);

struct dsaa_transport_link;
/*
 * The ends of FD's subflows, or of FD itself when it is no MPTCP, into LINK; their number, at
 * most MAX.
 */
unsigned dsaa_socket_links(int fd, struct dsaa_transport_link *link, unsigned max);

/* True when a user timeout is in force on FD. */
bool dsaa_socket_has_user_timeout(int fd);

#endif
