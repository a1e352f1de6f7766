#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/commit_check.py - check the form of commit messages (rule R65).

    tools/commit_check.py [RANGE]       default: main..HEAD, or HEAD alone where that is empty
    tools/commit_check.py --stdin       one message, for a commit-msg hook

A title is `component: imperative sentence`, at most 72 columns, no full stop; then an empty line
and a body that says why. `Fixes: <hash> ("title")` names the commit that is repaired. Prints
"<commit>: rule R65: message, do this instead"; the exit status is 1 if anything was found.
"""
import re
import subprocess
import sys

TITLE_COLUMNS_MAX = 72
BODY_COLUMNS_MAX = 100
# First words that are not the imperative, by their ending, but for those that are.
NOT_IMPERATIVE = re.compile(r"(ed|ing|[^s]s)$")
IMPERATIVES = {"embed", "feed", "need", "speed", "seed", "shed", "bring", "bias", "focus", "exceed",
               "proceed", "string", "alias", "canvas"}
EMPTY_TITLES = re.compile(r":\s*(fix|fix typo|fix typos|update|wip|misc|cleanup|changes?)$", re.I)


def problems(message):
    """Return what is wrong with @message."""
    lines = message.rstrip("\n").split("\n")
    title, found = lines[0], []
    match = re.match(r"([a-z][a-z0-9_./, -]*): (\S+)", title)
    if len(title) > TITLE_COLUMNS_MAX:
        found.append(f"the title has {len(title)} columns: shorten it to {TITLE_COLUMNS_MAX}")
    if not match:
        found.append("the title is not 'component: imperative sentence': begin with the folder")
    else:
        word = match[2].lower()
        if match[2][0].isupper() and match[2][1:].islower():
            found.append(f"'{match[2]}' after the colon has a capital: write it small")
        if NOT_IMPERATIVE.search(word) and word not in IMPERATIVES and word.isalpha():
            found.append(f"'{match[2]}' is not an imperative: say what the commit does, as an order")
    if title.endswith("."):
        found.append("the title ends with a full stop: drop it")
    if EMPTY_TITLES.search(title):
        found.append("the title says nothing: name what was wrong and where")
    if len(lines) < 3 or lines[1].strip() or not any(line.strip() for line in lines[2:]):
        found.append("no body: after an empty line, say why, what else was considered, how measured")
    for line in lines[2:]:
        if len(line) > BODY_COLUMNS_MAX and " " in line.strip() and "://" not in line:
            found.append(f"a line of the body has {len(line)} columns: break it at {BODY_COLUMNS_MAX}")
            break
    for line in lines:
        if line.startswith("Fixes:") and not re.match(r'Fixes: [0-9a-f]{7,40} \(".+"\)$', line):
            found.append("write Fixes: <hash> (\"title\")")
    return found


def git(*words):
    done = subprocess.run(["git", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                          check=False)
    return done.stdout if done.returncode == 0 else None


def commits(wanted):
    """Return [(short hash, message)] of the commits of the range @wanted."""
    text = git("log", "--no-merges", "--format=%h%x00%B%x01", *wanted)
    if text is None:
        sys.exit("commit_check: not a git folder, or no such range")
    rows = [row.strip("\n").partition("\0") for row in text.split("\1") if row.strip("\n")]
    return [(name, message) for name, _, message in rows]


def main(arguments):
    if arguments == ["--stdin"]:
        rows = [("message", sys.stdin.read())]
    elif arguments:
        rows = commits(arguments)
    else:
        ahead = git("rev-list", "--count", "main..HEAD")
        rows = commits(["main..HEAD"] if ahead and int(ahead) > 0 else ["-1"])
    has_failed = False
    for name, message in rows:
        for problem in problems(message):
            has_failed = True
            print(f"{name}: rule R65: {problem}")
    return 1 if has_failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
