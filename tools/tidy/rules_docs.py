# SPDX-License-Identifier: Apache-2.0
"""What is written about the code: invariants, prototypes' comments, benchmarks, claims."""
import re

from .source import Problem

INVARIANT = re.compile(r"^\s*\*\s+([A-Z]{2,8}-\d+)\s\s+(\S.*)$")
CITATION = re.compile(r"\b[A-Z]{2,8}-\d+\b")
INVARIANTS_PAGE = "docs/invariants.md"
# What a claim of speed looks like in README.md.
CLAIM = re.compile(r"\d[\d,.]*\s*(records/s|[KMG]i?B/s|GB/s|/s\b|us\b|ms\b|x faster)")


def stated(tree):
    """Return {name: (path, line, text)} of the invariants, and the second statements found."""
    found, again = {}, []
    for source in tree.under("include", "src", "test"):
        lines = source.lines
        for comment in source.comments:
            for number in range(comment.line, comment.line + comment.text.count("\n") + 1):
                match = INVARIANT.match(lines[number - 1])
                if not match:
                    continue
                text = match[2]
                follow = number
                while follow < len(lines) and re.match(r"^\s*\* {5,}\S", lines[follow]) and \
                        not INVARIANT.match(lines[follow]):
                    text += " " + lines[follow].strip("* ")
                    follow += 1
                if match[1] in found:
                    again.append((source.path, number, match[1]))
                else:
                    found[match[1]] = (source.path, number, text.rstrip(".") + ".")
    return found, again


def cited(tree):
    """Return {name: [(path, line)]} of citations that count: at an assertion or in a test."""
    places = {}
    for source in tree.under("src", "test"):
        is_test = source.path.startswith("test/")
        for comment in source.comments:
            for match in CITATION.finditer(comment.text):
                line = source.line_of(comment.start + match.start())
                if INVARIANT.match(source.lines[line - 1]):
                    continue
                near = source.code_lines[max(0, line - 4):line]
                if is_test or any("ASSERT" in text for text in near):
                    places.setdefault(match[0], []).append((source.path, line))
    return places


def invariants(tree):
    """R9: each invariant is stated once and cited by an assertion or a test."""
    names, again = stated(tree)
    places = cited(tree)
    prefixes = {name.split("-")[0] for name in names}
    for path, line, name in again:
        yield Problem(path, line, "R9", f"{name} is stated before, at {names[name][0]}:"
                      f"{names[name][1]}: cite it here in a sentence instead")
    for name, (path, line, _) in names.items():
        if name not in places:
            yield Problem(path, line, "R9", f"{name} is cited by no assertion and no test: cite it "
                          "in a trailing comment on the ASSERT that enforces it, or test it")
    for name, where in places.items():
        if name not in names and name.split("-")[0] in prefixes:
            yield Problem(*where[0], "R9", f"{name} is stated nowhere: state it in the owning "
                          "header's opening comment")


def key(name):
    prefix, _, number = name.partition("-")
    return prefix, int(number)


def invariants_page(tree):
    """Return the text that docs/invariants.md must have."""
    names, _ = stated(tree)
    lines = ["# Invariants", "",
             "Made by `tools/tidy.py --write` from the opening comments; each is cited by an "
             "assertion or a test.", ""]
    for prefix in sorted({name.split("-")[0] for name in names}):
        mine = sorted((name for name in names if name.split("-")[0] == prefix), key=key)
        homes = sorted({names[name][0] for name in mine})
        lines += [f"## {prefix} ({', '.join(homes)})", "", "| name | what always holds |", "|---|---|"]
        lines += [f"| {name} | {names[name][2].replace('|', chr(92) + '|')} |" for name in mine]
        lines.append("")
    return "\n".join(lines).rstrip("\n") + "\n"


def invariants_current(tree):
    """R9: docs/invariants.md is what the code says."""
    if tree.read(INVARIANTS_PAGE) != invariants_page(tree):
        yield Problem(INVARIANTS_PAGE, 1, "R9",
                      "is not what the code says now: run tools/tidy.py --write and commit it")


def declarations(source):
    """Yield (start, text) of the functions declared or defined at file level in a header."""
    code = re.sub(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", lambda match: re.sub(r"[^\n]", " ", match[0]),
                  source.code, flags=re.M)
    code = re.sub(r'extern\s*"[^"]*"\s*\{', lambda match: " " * len(match[0]), code)
    depth = parens = 0
    start = 0
    for position, char in enumerate(code):
        if char == "(":
            parens += 1
        elif char == ")":
            parens -= 1
        elif char == "{" and parens == 0:
            if depth == 0:
                yield start, code[start:position]
            depth += 1
        elif char == "}" and parens == 0:
            depth = max(0, depth - 1)
            start = position + 1
        elif char == ";" and depth == 0 and parens == 0:
            yield start, code[start:position]
            start = position + 1


def prototypes(tree):
    """R47: every prototype says what the function does."""
    for source in tree.under("include", "src"):
        if not source.path.endswith(".h"):
            continue
        for start, text in declarations(source):
            plain = re.sub(r"__attribute__\s*\(\(.*?\)\)", " ", text)
            match = re.match(r"\s*(?:[\w*]+[\s*]+)+?\**(\w+)\s*\(", plain)
            if not match or re.match(r"\s*(typedef|struct\s+\w+\s*$)", plain):
                continue
            begin = start + len(text) - len(text.lstrip())
            line = source.line_of(begin)
            comment = next((comment for comment in source.comments
                            if comment.end <= begin and not source.code[comment.end:begin].strip()
                            and source.text[comment.end:begin].count("\n") <= 1), None)
            if comment is None or not comment.text.startswith("/**"):
                yield Problem(source.path, line, "R47", f"{match[1]} has no /** */ comment right "
                              "above it: say what it does, who owns what, which errors")
                continue
            first = comment.words().split(" ")[0].strip(",.\n")
            if re.fullmatch(r"[A-Z][a-z]+[^s]s", first):
                yield Problem(source.path, comment.line, "R47", f"'{first} ...': begin with the "
                              "imperative, as in 'Return the highest offset'")


def benchmarks(tree):
    """R60: each benchmark answers a question that bench/README.md lists."""
    listing = tree.read("bench/README.md") or ""
    for source in tree.under("bench"):
        name = source.path.removeprefix("bench/")
        if not re.fullmatch(r"bench_\w+\.c", name):
            continue
        opening = source.opening()
        if opening is None or "?" not in opening.text:
            yield Problem(source.path, 1, "R60", "the opening comment asks no question: give the "
                          "question, the method, and what would make the number a lie")
        if name not in listing:
            yield Problem(source.path, 1, "R60", "bench/README.md does not list it, add a row")


def claims(tree):
    """R67: no number without the benchmark that made it."""
    line = 1
    for paragraph in re.split(r"(\n\s*\n)", tree.read("README.md") or ""):
        if CLAIM.search(paragraph) and not re.search(r"\bbench/|docs/results/", paragraph):
            yield Problem("README.md", line, "R67", f"'{CLAIM.search(paragraph)[0]}' names no "
                          "benchmark: link a file of bench/ or docs/results/")
        line += paragraph.count("\n")


RULES = [invariants, invariants_current, prototypes, benchmarks, claims]
