# SPDX-License-Identifier: Apache-2.0
"""Whole files: licence line, opening comment, length, folders' READMEs, the root, tests."""
import re
from pathlib import Path

from .source import Problem

SPDX = "SPDX-License-Identifier: Apache-2.0"
FILE_LINES_MAX = 1000
FILE_LINES_WITHOUT_REASON = 600
FUNCTION_LINES_MAX = 70
COLUMNS_MAX = 100
README_LINES_MAX = 60
ROOT_FILES = {
    "README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "LICENSE", "meson.build",
    "meson_options.txt", ".clang-format", ".clang-tidy", ".gitignore", ".git",
}
ROOT_FOLDERS = {
    ".ci", ".git", "bench", "build", "configs", "docs", "examples", "include", "src", "test",
    "tools",
}
SCRIPT_SUFFIXES = {".py", ".sh", ".build", ".ini"}
SCRIPT_FOLDERS = (".ci", "bench", "examples", "include", "src", "test", "tools")
# Folders besides the rooms that say in a README.md what they hold, each C or Python file once.
README_FOLDERS = ("test/lib", "test/sim", "bench", "examples", "tools")


def scripts(tree):
    """Return the scripts and build files of the tree."""
    found = [tree.root / "meson.build", tree.root / "meson_options.txt", tree.root / ".ci" / "run"]
    for folder in SCRIPT_FOLDERS:
        found += sorted(path for path in (tree.root / folder).rglob("*")
                        if path.suffix in SCRIPT_SUFFIXES)
    return [path for path in found if path.is_file()]


def licence_line(tree):
    """R7: every file begins with its licence."""
    for source in tree.sources.values():
        if not source.lines or source.lines[0] != f"/* {SPDX} */":
            yield Problem(source.path, 1, "R7", f"the first line is not /* {SPDX} */, put it there")
    for path in scripts(tree):
        if not any(line == f"# {SPDX}" for line in path.read_text().splitlines()[:2]):
            yield Problem(path.relative_to(tree.root).as_posix(), 1, "R7",
                          f"no '# {SPDX}' in the first two lines, put it there")


def opening_comment(tree):
    """R8: every file opens with what it is and how it works."""
    for source in tree.sources.values():
        opening = source.opening()
        if opening is None:
            yield Problem(source.path, 1, "R8", "no opening comment after the licence line: say "
                          "what the file is, how it works, what must hold")
            continue
        room = source.room()
        first = opening.words().split("\n")[0]
        if room and not re.match(rf"{room}/{re.escape(source.stem())}(\.[ch])? - \S", first):
            yield Problem(source.path, opening.line, "R8",
                          f"the opening comment does not begin '{room}/{source.stem()} - <what>'")


def file_length(tree):
    """R6: a file that grows is split, or says why not."""
    for source in tree.sources.values():
        count = len(source.lines)
        opening = source.opening()
        is_test = source.path.startswith("test/")
        has_reason = opening is not None and re.search(r"^Length: +\S", opening.words(), re.M)
        if count > FILE_LINES_MAX:
            yield Problem(source.path, FILE_LINES_MAX, "R6",
                          f"{count} lines, at most {FILE_LINES_MAX}: split it where things meet")
        elif count > FILE_LINES_WITHOUT_REASON and not (has_reason or is_test):
            yield Problem(source.path, FILE_LINES_WITHOUT_REASON, "R6", f"{count} lines: split it, "
                          "or give the reason in the opening comment in a line 'Length: ...'")


def function_length(tree):
    """R22: a function has at most 70 lines."""
    for source in tree.sources.values():
        for function in source.functions:
            if function.line_count() > FUNCTION_LINES_MAX:
                yield Problem(source.path, function.line_first, "R22", f"{function.name} has "
                              f"{function.line_count()} lines, at most {FUNCTION_LINES_MAX}: "
                              "move a step into a function of its own")


def columns(tree):
    """R61: 100 columns."""
    for source in tree.sources.values():
        for number, line in enumerate(source.lines, 1):
            if len(line) > COLUMNS_MAX:
                yield Problem(source.path, number, "R61",
                              f"{len(line)} columns, at most {COLUMNS_MAX}: break the line")


def header_guard(tree):
    """R47: a header's guard is FOLDER_FILE_H."""
    for source in tree.sources.values():
        path = Path(source.path)
        if path.suffix != ".h" or path.parts[0] == "include":
            continue
        guard = re.sub(r"\W", "_", f"{path.parent.name}_{path.stem}_h").upper()
        if not re.search(rf"^#ifndef {guard}\n#define {guard}\n", source.text, re.M):
            yield Problem(source.path, 1, "R47", f"the guard is not {guard}, name it so")


def readmes(tree):
    """R14: each folder says in at most 60 lines what it holds."""
    folders = [f"src/{room}" for room in tree.rooms()]
    folders += [folder for folder in README_FOLDERS
                if any((tree.root / folder).glob("*.c")) or any((tree.root / folder).glob("*.py"))]
    for folder in folders:
        name = f"{folder}/README.md"
        text = tree.read(name)
        if text is None:
            yield Problem(name, 1, "R14", "missing: say what the folder owns, where it stands on "
                          "the data's way, its files in reading order, what it must never do")
            continue
        count = len(text.splitlines())
        if count > README_LINES_MAX:
            yield Problem(name, README_LINES_MAX, "R14",
                          f"{count} lines, at most {README_LINES_MAX}: shorten it")
        for path in sorted((tree.root / folder).iterdir()):
            named = len(re.findall(rf"(?<![\w/.-]){re.escape(path.name)}(?![\w-])", text))
            if path.suffix in (".c", ".py") and named != 1:
                yield Problem(name, 1, "R14", f"names {path.name} {named} times, name it once")


def map_of_maps(tree):
    """R14: src/README.md names each room."""
    text = tree.read("src/README.md")
    if text is None:
        yield Problem("src/README.md", 1, "R14", "missing: write the map of the rooms")
        return
    for room in tree.rooms():
        if not re.search(rf"(?<!\w){room}/", text):
            yield Problem("src/README.md", 1, "R14", f"does not name {room}/, add a line")


def root_files(tree):
    """R67: the root holds these files and no others."""
    for path in sorted(tree.root.iterdir()):
        allowed = ROOT_FOLDERS if path.is_dir() else ROOT_FILES
        if path.name not in allowed and path.name != "compile_commands.json":
            yield Problem(path.name, 1, "R67", "does not belong into the root: move it into a "
                          "folder, or add it to the list in tools/tidy/rules_files.py")


def tests_exist(tree):
    """R54: each source file has its test."""
    openings = {source.path: source.opening() for source in tree.under("test")}
    named = "\n".join(opening.text for opening in openings.values() if opening)
    for source in tree.under("src"):
        if not source.path.endswith(".c") or not source.functions:
            continue
        test = f"test/unit/{source.room()}/test_{source.stem()}.c"
        if test in tree.sources:
            continue
        if not re.search(rf"(?<!\w){source.room()}/{source.stem()}(\.[ch])?(?![\w-])", named):
            yield Problem(source.path, 1, "R54", f"no test: write {test}, or name "
                          f"'{source.room()}/{source.stem()}.c' in the opening comment of the "
                          "test that covers it")


RULES = [licence_line, opening_comment, file_length, function_length, columns, header_guard,
         readmes, map_of_maps, root_files, tests_exist]
