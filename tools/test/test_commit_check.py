# SPDX-License-Identifier: Apache-2.0
"""Tests of tools/commit_check.py."""
import unittest

import commit_check

BODY = "\n\nA batch in two files could be half lost.\n"


class CommitCheck(unittest.TestCase):
    def refused(self, message, part):
        self.assertTrue(any(part in text for text in commit_check.problems(message)),
                        commit_check.problems(message))

    def test_good(self):
        """a good message passes"""
        self.assertEqual(commit_check.problems("wal: refuse a batch that spans two files" + BODY), [])

    def test_title(self):
        """a bad title is refused"""
        self.refused("refuse a batch" + BODY, "component")
        self.refused("wal: refused a batch" + BODY, "imperative")
        self.refused("wal: refuses a batch" + BODY, "imperative")
        self.refused("wal: Refuse a batch" + BODY, "capital")
        self.refused("wal: refuse a batch." + BODY, "full stop")
        self.refused("wal: fix typo" + BODY, "says nothing")
        self.refused("wal: " + "refuse " * 12 + BODY, "columns")

    def test_body(self):
        """a message without a reason is refused"""
        self.refused("wal: refuse a batch", "no body")
        self.refused("wal: refuse a batch\nwhy", "no body")

    def test_fixes(self):
        """a repair names the commit and its title"""
        self.refused("wal: refuse a batch" + BODY + "\nFixes: the last one\n", "Fixes")
        good = "wal: refuse a batch" + BODY + '\nFixes: 0123abc ("wal: add the journal")\n'
        self.assertEqual(commit_check.problems(good), [])
