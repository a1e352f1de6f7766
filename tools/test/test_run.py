# SPDX-License-Identifier: Apache-2.0
"""Tests of tools/run.sh where nothing was built yet, with stand-ins for meson and ninja."""
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

RUN = Path(__file__).resolve().parent.parent / "run.sh"
STAND_INS = {
    # Like the real one: what is not named is looked for where it was started.
    "meson": """for word; do last=$word; done
[ -e "$last/meson.build" ] || [ -e ./meson.build ] || exit 9
echo made >"$STATE/meson" """,
    "ninja": "exit 7",
}


class Run(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="run ")
        self.addCleanup(holder.cleanup)
        self.state = Path(holder.name)
        self.root = self.state / "a tree"
        (self.root / "tools").mkdir(parents=True)
        (self.root / "tools/run.sh").write_text(RUN.read_text())
        (self.root / "tools/setup.sh").write_text("exit 0\n")
        (self.root / "meson.build").write_text("")
        (self.state / "bin").mkdir()
        for name, text in STAND_INS.items():
            path = self.state / "bin" / name
            path.write_text("#!/bin/sh\n" + text + "\n")
            path.chmod(0o755)

    def test_from_any_folder(self):
        """a first build is set up from any folder, with spaces in the tree's path"""
        for folder in ("/", str(self.root), str(self.root / "tools")):
            (self.state / "meson").unlink(missing_ok=True)
            env = dict(os.environ, STATE=str(self.state),
                       PATH=f"{self.state}/bin:{os.environ['PATH']}")
            done = subprocess.run(["bash", str(self.root / "tools/run.sh")], env=env, text=True,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, check=False, cwd=folder)
            self.assertEqual(done.returncode, 7, f"from {folder}: {done.stdout}")
            self.assertTrue((self.state / "meson").exists())


if __name__ == "__main__":
    unittest.main()
