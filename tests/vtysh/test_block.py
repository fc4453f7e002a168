# SPDX-License-Identifier: GPL-2.0-or-later
"""The dsaa block, with its nested site blocks, through vtysh: typing, showing, writing, loading at boot, reloading, a restart."""

import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "cli"))

from test_cli import BLOCK as WHOLE, lines_of  # noqa: E402

BLOCK = """dsaa
 cluster-id 7
 site 1
  name paris
 exit
 site 2
  name lyon
 exit
exit
"""


def block_of(text):
    """The dsaa block in a configuration, as it stands there; empty when there is none."""
    match = re.search(r"^dsaa\n(?: .*\n)*exit\n", text, flags=re.M)
    return match.group(0) if match else ""


def running(router):
    return block_of(router.vtysh("show running-config"))


def clear(router):
    router.vtysh("configure terminal", "no dsaa")
    assert running(router) == ""


def type_in(router, text):
    router.vtysh("configure terminal", *[line.strip() for line in text.splitlines()])


def test_typed_lines_are_shown_as_typed(router):
    type_in(router, BLOCK)
    assert running(router) == BLOCK


def test_sites_typed_in_another_order_keep_their_lines(router):
    clear(router)
    type_in(router, "dsaa\nsite 2\nname lyon\nexit\nsite 1\nname paris\nexit\ncluster-id 7\nexit")
    # Whether a list is shown sorted or as it was typed is libyang's choice, and changed between its versions.
    site = r"^ site (\d+)\n  name (\w+)\n exit$"
    assert sorted(re.findall(site, running(router), flags=re.M)) == [("1", "paris"), ("2", "lyon")]


def test_exit_and_quit_go_one_level_up_and_end_leaves(router):
    clear(router)
    type_in(router, "dsaa\nsite 1\nname paris\nquit\nsite 2\nname lyon\nexit\ncluster-id 7\nend")
    assert running(router) == BLOCK
    # After "exit exit" the node is the top of the configuration: a command of another daemon's works there.
    type_in(router, "dsaa\nsite 1\nexit\nexit\nip prefix-list T seq 5 permit any\nno ip prefix-list T")


def test_a_command_of_the_outer_node_leaves_the_inner_one(router):
    clear(router)
    type_in(router, "dsaa\nsite 1\nname paris\nsite 2\nname lyon\ncluster-id 7")
    assert running(router) == BLOCK


def test_write_puts_the_block_into_frr_conf(router):
    type_in(router, BLOCK)
    router.vtysh("write")
    assert block_of(router.read("/etc/frr/frr.conf")) == BLOCK


def test_boot_load(router):
    clear(router)
    router.write("/etc/frr/frr.conf", "hostname router\n!\nrouter bgp 65000\n no bgp ebgp-requires-policy\nexit\n!\n%s!\n" % BLOCK)
    done = router.run("vtysh", "-b")
    # FRR 10 tells on stderr which daemon has read it; a line that went wrong is told as "line N".
    assert done.returncode == 0 and "line " not in done.stderr, done.stderr
    assert running(router) == BLOCK
    assert "router bgp 65000" in router.vtysh("show running-config")


def test_boot_load_tells_a_wrong_line(router):
    router.write("/etc/frr/frr.conf", "dsaa\n no-such-word 1\nexit\n")
    done = router.run("vtysh", "-b")
    assert done.returncode != 0
    assert "no-such-word" in done.stdout + done.stderr


def test_dry_run(router):
    router.write("/etc/frr/other.conf", BLOCK)
    assert router.run("vtysh", "-C", "-f", "/etc/frr/other.conf").returncode == 0


def reload(router, text):
    router.write("/etc/frr/frr.conf", "hostname router\n!\n%s!\n" % text)
    return router.run("/usr/lib/frr/frr-reload.py", "--reload", "--stdout", "/etc/frr/frr.conf")


def check_reload(router, text):
    done = reload(router, text)
    assert done.returncode == 0, done.stdout + done.stderr
    assert running(router) == text


def test_reload_adds_changes_and_removes(router):
    clear(router)
    check_reload(router, BLOCK)
    check_reload(router, BLOCK.replace("lyon", "nice").replace("cluster-id 7", "cluster-id 8"))
    check_reload(router, BLOCK.replace(" site 2\n  name lyon\n exit\n", ""))
    check_reload(router, BLOCK)
    check_reload(router, "")


def test_reload_of_the_same_changes_nothing(router):
    check_reload(router, BLOCK)
    done = reload(router, BLOCK)
    assert done.returncode == 0
    assert not re.search(r"Executed|Lines To (Add|Delete)\n=+\n\S", done.stdout), done.stdout


def test_reload_keeps_the_host_part_of_an_ipv6_address(router):
    site = "dsaa\n site 1\n  uips eth0 2001:db8:1::1/64\n exit\nexit\n"
    clear(router)
    check_reload(router, site)
    done = reload(router, site.replace("2001:db8", "2001:0DB8"))
    assert done.returncode == 0 and "Executed" not in done.stdout, done.stdout
    check_reload(router, site.replace("::1/64", "::2/64"))
    assert reload(router, site.replace("::1/64", "::x/64")).returncode != 0


def test_reload_removes_each_line(router):
    """Each line is removed by what frr-reload makes of it, from the last to the first, so that a site goes when it is empty."""
    clear(router)
    done = reload(router, WHOLE)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = WHOLE.splitlines(keepends=True)
    for i in range(len(rows) - 2, 0, -1):
        if rows[i] == " exit\n":
            continue
        # a site goes with its exit
        del rows[i : i + 2 if rows[i].startswith(" site ") else i + 1]
        done = reload(router, "".join(rows))
        assert done.returncode == 0 and "Failed to execute" not in done.stdout, done.stdout + done.stderr
        assert sorted(lines_of(running(router))) == sorted(lines_of("".join(rows))), done.stdout


def test_watchfrr_restarts_dsaad_with_its_block(router):
    type_in(router, BLOCK)
    router.vtysh("write")
    pid = router.run("pidof", "dsaad", check=True).stdout.strip()
    router.run("kill", "-9", pid, check=True)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        now = router.run("pidof", "dsaad").stdout.strip()
        if now and now != pid and running(router) == BLOCK:
            return
        time.sleep(0.5)
    raise AssertionError("dsaad was not restarted with its configuration within 60 s")
