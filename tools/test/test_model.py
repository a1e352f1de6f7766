# SPDX-License-Identifier: Apache-2.0
"""Tests of tools/model.py: which end of a search counts as what."""
import tempfile
import unittest
from pathlib import Path
from unittest import mock

import model

DONE = """Full statespace search for:
State-vector 100 byte, depth reached 110, errors: 0
   886748 states, stored
"""
FOUND = """pan:1: assertion violated (1==2) (at depth 60)
pan: wrote election.pml.trail
Warning: Search not completed
State-vector 100 byte, depth reached 101, errors: 1
     6477 states, stored
"""


class Judge(unittest.TestCase):
    def test_safe(self):
        """a full search without an error is the only good end of a safe case"""
        self.assertEqual(model.judge("safe", DONE), ("", 886748, 36, "no error"))
        self.assertIn("counterexample", model.judge("safe", FOUND)[0])

    def test_cut_short(self):
        """a search that depth, memory or a signal cut short has failed, though it found nothing"""
        for line in ("error: max search depth too small\n", "pan: out of memory\n",
                     "pan: reached -DMEMLIM bound\n", "Warning: Search not completed\n",
                     "pan ended with status -9\n"):
            self.assertIn("cut short", model.judge("safe", line + DONE)[0], line)
        self.assertIn("did not end", model.judge("safe", "the search took over 1 s")[0])

    def test_mistake(self):
        """a mistake that no counterexample shows has failed"""
        self.assertEqual(model.judge("mistake", FOUND), ("", 6477, 33, "found in 20 steps"))
        self.assertIn("no counterexample", model.judge("mistake", DONE)[0])
        self.assertIn("no counterexample", model.judge("reach", DONE)[0])


class Cases(unittest.TestCase):
    def test_all(self):
        """each pair that is promised is searched, and each mistake of the model is a case"""
        found = model.cases("default")
        pairs = {(case.replicas, case.write_quorum) for case in found if case.kind == "safe"}
        self.assertEqual(pairs, {(3, 1), (3, 2), (3, 3), (4, 3)})
        for case in found:
            self.assertGreaterEqual(case.defines["EPOCHS"], 3)
            self.assertGreaterEqual(case.defines["ENTRIES"], 2)
            self.assertGreaterEqual(case.defines["CRASHES"], 2)
        text = model.MODEL.read_text()
        for name in model.MISTAKES:
            self.assertIn(f"#ifdef MISTAKE_{name}\n", text.replace("ifndef", "ifdef"))

    def test_no_spin(self):
        """without spin a case fails and says what to install"""
        with tempfile.TemporaryDirectory() as folder, \
                mock.patch("subprocess.run", side_effect=FileNotFoundError):
            problem = model.compile_search(model.cases("default")[0], Path(folder), False)
        self.assertIn("spin is not installed: tools/setup.sh test", problem)


if __name__ == "__main__":
    unittest.main()
