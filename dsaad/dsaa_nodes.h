/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * The CLI nodes of dsaad. libfrr's own list of nodes ends far below these
 * numbers in every supported version. vtysh uses the same numbers, so this
 * header is compiled into both.
 */
#ifndef DSAA_NODES_H
#define DSAA_NODES_H

#define DSAA_NODE      ((enum node_type)220) /* dsaa */
#define DSAA_SITE_NODE ((enum node_type)221) /* dsaa / site N */

#endif
