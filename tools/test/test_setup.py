# SPDX-License-Identifier: Apache-2.0
"""Tests of tools/setup.sh, with stand-ins for dpkg-query, apt-get, sudo and id."""
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

SETUP = Path(__file__).resolve().parent.parent / "setup.sh"
STAND_INS = {
    # Everything is installed but what the file `missing` lists.
    "dpkg-query": """shift 2
for package; do grep -qx "$package" "$STATE/missing" || echo "ii  $package"; done; exit 1""",
    "apt-get": """echo "$*" >>"$STATE/apt"
"$PYRALOG_SETUP_ROOT/usr/sbin/policy-rc.d"; echo $? >"$STATE/policy"
case "$*" in
*update*) : >"$STATE/updated" ;;
*) [ ! -e "$STATE/stale" ] || [ -e "$STATE/updated" ] || exit 100; : >"$STATE/missing" ;;
esac""",
    "id": 'cat "$STATE/id"',
    "sudo": """[ -e "$STATE/sudo" ] || exit 1
echo 0 >"$STATE/id"; shift; exec "$@" """,
}


class Setup(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="set up ")
        self.addCleanup(holder.cleanup)
        self.state = Path(holder.name)
        folder = self.state / "bin"
        folder.mkdir()
        for name, text in STAND_INS.items():
            path = folder / name
            path.write_text("#!/bin/sh\n" + text + "\n")
            path.chmod(0o755)
        (self.state / "usr/sbin").mkdir(parents=True)
        (self.state / "run").mkdir()
        self.put("missing", "")
        self.put("id", "0\n")

    def put(self, name, text):
        (self.state / name).write_text(text)

    def run_setup(self, *arguments):
        env = dict(os.environ, STATE=str(self.state), PYRALOG_SETUP_ROOT=str(self.state),
                   PATH=f"{self.state}/bin:{os.environ['PATH']}")
        done = subprocess.run(["bash", str(SETUP), *arguments], env=env, text=True,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, check=False, cwd="/")
        return done.returncode, done.stdout + done.stderr

    def apt(self):
        path = self.state / "apt"
        return path.read_text().splitlines() if path.exists() else []

    def test_nothing_missing(self):
        """nothing is called, nor printed, when nothing is missing"""
        self.assertEqual(self.run_setup("peers"), (0, ""))
        self.assertEqual(self.apt(), [])

    def test_installs(self):
        """root installs what is missing, and only that"""
        self.put("missing", "meson\n")
        self.assertEqual(self.run_setup("run")[0], 0)
        self.assertEqual(len(self.apt()), 1)
        self.assertIn("--no-install-recommends meson", self.apt()[0])
        self.assertIn("DPkg::Lock::Timeout", self.apt()[0])

    def test_no_service(self):
        """while packages are installed no service may start; afterwards the policy is gone"""
        self.put("missing", "meson\n")
        self.assertEqual(self.run_setup("run")[0], 0)
        self.assertEqual((self.state / "policy").read_text(), "101\n")
        self.assertFalse((self.state / "usr/sbin/policy-rc.d").exists())

    def test_still_missing(self):
        """an install that leaves something out is a failure"""
        self.put("missing", "meson\n")
        (self.state / "bin/apt-get").write_text("#!/bin/sh\nexit 0\n")
        self.assertEqual(self.run_setup("run")[0], 1)

    def test_stale_lists(self):
        """stale package lists are refreshed once"""
        self.put("missing", "meson\n")
        self.put("stale", "")
        self.assertEqual(self.run_setup("run")[0], 0)
        self.assertEqual([" update" in line for line in self.apt()], [False, True, False])

    def test_levels(self):
        """running needs no clang, no cmocka and no peer"""
        _, run = self.run_setup("--list", "run")
        _, test = self.run_setup("--list", "test")
        _, peers = self.run_setup("--list", "peers")
        _, long = self.run_setup("--list", "long")
        for word in ("clang", "cmocka", "rocksdb", "spin"):
            self.assertNotIn(word, run)
        self.assertNotIn("rocksdb", test)
        self.assertLess(set(run.split()), set(test.split()))
        self.assertLess(set(test.split()), set(peers.split()))
        self.assertLess(set(test.split()), set(long.split()))
        self.assertIn("qemu-user-static", long)
        self.assertNotIn("qemu", test + peers)

    def test_plain_user(self):
        """without rights it prints the command, changes nothing and exits 2"""
        self.put("missing", "meson\nkcat\n")
        self.put("id", "1000\n")
        status, output = self.run_setup("test")
        self.assertEqual(status, 2)
        self.assertIn("sudo apt-get install -y --no-install-recommends meson kcat", output)
        self.assertEqual(self.apt(), [])

    def test_sudo(self):
        """a user with sudo needs no password prompt"""
        self.put("missing", "meson\n")
        self.put("id", "1000\n")
        self.put("sudo", "")
        self.assertEqual(self.run_setup("run")[0], 0)
        self.assertEqual(len(self.apt()), 1)

    def test_usage(self):
        """an unknown level is a usage error"""
        self.assertEqual(self.run_setup("everything")[0], 2)
        self.assertEqual(self.apt(), [])
