# SPDX-License-Identifier: Apache-2.0
"""What the tests of this folder share: the folders, running a program, a folder that goes away."""
import os
import re
import subprocess
import tempfile
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
BUILD = Path(os.environ["PYRALOG_BUILD"])
HEADER = (ROOT / "include" / "pyralog.h").read_text()
SECONDS_MAX = 120
# Both languages read the header and the examples; C++ knows designated initialisers since C++20.
C99 = ["cc", "-std=c99", "-pedantic", "-Wall", "-Wextra", "-Werror"]
CXX = ["g++", "-x", "c++", "-std=c++20", "-pedantic", "-Wall", "-Wextra", "-Werror",
       "-Wno-missing-field-initializers"]


class Case(unittest.TestCase):
    """A test with a folder of its own."""

    maxDiff = None

    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="pyralog-install-")
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)

    def run_program(self, words, status=0, **options):
        """Run a program that has to end with @status; return what it printed."""
        options.setdefault("stdin", subprocess.DEVNULL)
        if "input" in options:
            del options["stdin"]
        done = subprocess.run([str(word) for word in words], stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace",
                              timeout=SECONDS_MAX, check=False, **options)
        shown = " ".join(str(word) for word in words)
        self.assertEqual(done.returncode, status, f"{shown}\n{done.stdout}")
        return done.stdout


def functions():
    """Return the names of the functions that the public header declares."""
    return sorted(set(re.findall(r"^PYR_API[^;(]*?\b(pyr_\w+)\(", HEADER, re.M)))


def section_examples():
    """Return {section: [line, ...]} of the examples in the header's section comments."""
    found = {}
    for match in re.finditer(r"^/\* -- (.+?) --$(.*?)\*/", HEADER, re.M | re.S):
        lines = re.findall(r"^ \*     (.*)$", match[2], re.M)
        found[match[1]] = lines
    return found
