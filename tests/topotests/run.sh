#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
#
# Runs topotests on FRR's own framework, which comes from the SDK's FRR source. The staged daemons and vtysh are mounted over the
# installed ones for this run alone. All happens in scripts/sandbox.sh: the framework cleans up by killing what it finds, and there it
# finds nothing but its own.
#
# usage: run.sh [PYTEST-ARGUMENT...]      for example: run.sh dsaa_basic -k show

set -eu
. "$(dirname "$(readlink -f "$0")")/../../scripts/common.sh"

STAGE=$BUILD/stage
FRAMEWORK=$BUILD/sdk/src/tests/topotests

[ -x "$STAGE/usr/lib/frr/dsaad" ] || die "nothing is staged yet: run ./quickstart setup"
[ -e "$FRAMEWORK/lib/topogen.py" ] || die "the SDK has no topotests: run scripts/frr-sdk.sh"
if [ -z "${DSAA_SANDBOX:-}" ]; then
	exec "$TOP/scripts/sandbox.sh" "$(readlink -f "$0")" "$@"
fi

# The check's sandbox is shared with other tests: mounts only here.
if [ -z "${DSAA_TOPOTEST_MOUNTS:-}" ]; then
	export DSAA_TOPOTEST_MOUNTS=1
	exec unshare --mount --propagation private "$(readlink -f "$0")" "$@"
fi
mount --bind "$STAGE/usr/lib/frr" /usr/lib/frr
mount --bind "$STAGE/usr/bin/vtysh" /usr/bin/vtysh

# Daemons write their logs there as user frr, who need not be able to enter the source tree.
rundir=$(mktemp -d /tmp/dsaa-topotests.XXXXXX)
chmod 755 "$rundir"
rc=0
cd "$TOP/tests/topotests"
DSAA_TOPOTESTS=$FRAMEWORK PYTHONDONTWRITEBYTECODE=1 VTYSH_PAGER=cat \
	/usr/bin/python3 -m pytest --rundir="$rundir" --junitxml="$rundir/topotests.xml" "$@" || rc=$?
mkdir -p "$BUILD/logs"
rm -rf "$BUILD/logs/topotests.d"
mv "$rundir" "$BUILD/logs/topotests.d"
echo "logs of the routers: $BUILD/logs/topotests.d"
exit $rc
