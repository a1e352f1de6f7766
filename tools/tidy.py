#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/tidy.py - check the rules of style that a script can read.

    tools/tidy.py [--root DIR] [PATH]...   print "path:line: rule Rnn: message, do this instead"
    tools/tidy.py --tap                    the same as TAP, one case a rule, for the suite
    tools/tidy.py --write                  write docs/invariants.md anew

PATHs limit what is printed to files below them. The exit status is 1 if anything was found. The
rules stand in tools/tidy/, one file per group; CONTRIBUTING.md sums them up.
"""
import argparse
import sys
from pathlib import Path

sys.dont_write_bytecode = True

from tidy import rules_code, rules_docs, rules_files, rules_includes  # noqa: E402
from tidy.source import Tree  # noqa: E402

GROUPS = (rules_includes, rules_files, rules_code, rules_docs)


def rules():
    return [rule for group in GROUPS for rule in group.RULES]


def print_tap(tree):
    """Print one case a rule and return whether one failed."""
    has_failed = False
    print(f"1..{len(rules())}")
    for number, rule in enumerate(rules(), 1):
        problems = [str(problem) for problem in rule(tree)]
        has_failed = has_failed or bool(problems)
        for problem in problems:
            print(f"# {problem}")
        print(f"{'not ' if problems else ''}ok {number} - {rule.__doc__.rstrip('.')}")
    return has_failed


def main(arguments):
    parser = argparse.ArgumentParser(prog="tools/tidy.py")
    parser.add_argument("--root", default=str(Path(__file__).resolve().parent.parent))
    parser.add_argument("--tap", action="store_true")
    parser.add_argument("--write", action="store_true")
    parser.add_argument("path", nargs="*")
    options = parser.parse_args(arguments)
    tree = Tree(options.root)
    if options.write:
        (tree.root / rules_docs.INVARIANTS_PAGE).write_text(rules_docs.invariants_page(tree))
    if options.tap:
        return 1 if print_tap(tree) else 0
    problems = [problem for rule in rules() for problem in rule(tree)]
    if options.path:
        problems = [problem for problem in problems
                    if problem.path.startswith(tuple(options.path))]
    for problem in sorted(problems, key=lambda problem: (problem.path, problem.line)):
        print(problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
