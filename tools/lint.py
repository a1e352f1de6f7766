#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tools/lint.py - the checks that need a compiler's or a linker's eyes; TAP, one case a file.

    tools/lint.py format       clang-format 14 would change nothing
    tools/lint.py clang-tidy   the checks of .clang-tidy, with build/release's compile commands
    tools/lint.py cppcheck     a second opinion on src/
    tools/lint.py headers      each header compiles alone; the public one also as C99 and as C++
    tools/lint.py symbols      no mutable state, no exported name but pyr_, no mutant in a release

clang-tidy is slow, so that its verdicts are kept in build/cache under a hash of all it reads: the
file, the project's headers it includes, the command and the checks.
"""
import hashlib
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
C_FOLDERS = ("include", "src", "test", "bench", "examples")
RELEASE = ROOT / "build" / "release"
CACHE = ROOT / "build" / "cache" / "clang-tidy"
CLANG_TIDY = "clang-tidy-14"
CLANG_FORMAT = "clang-format-14"
FORMAT_CHUNK = 20  # Files a call: starting the program takes as long as formatting one.

# R39: the only mutable file-scope state. Key: object's source file, value: the symbols.
MUTABLE_ALLOWED = {"src/server/signal.c": {"signal_flag"}}


class Tap:
    """Prints one line a case, and remembers whether one failed."""

    def __init__(self):
        self.count, self.failed = 0, 0

    def case(self, name, problem=""):
        self.count += 1
        if problem:
            self.failed += 1
            for line in problem.strip().splitlines():
                print(f"# {line}")
        print(f"{'not ' if problem else ''}ok {self.count} - {name}", flush=True)

    def end(self):
        print(f"1..{self.count}")
        return 1 if self.failed else 0


def files(*suffixes, folders=C_FOLDERS):
    found = [path for folder in folders for path in (ROOT / folder).rglob("*")
             if path.suffix in suffixes and path.is_file()]
    return sorted(found)


def name_of(path):
    return str(path.relative_to(ROOT))


def run(words, **options):
    done = subprocess.run([str(word) for word in words], stdin=subprocess.DEVNULL, cwd=ROOT,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                          errors="replace", check=False, **options)
    return done.returncode, done.stdout


def side_by_side(function, items):
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(function, items))


def check_format(tap):
    def check(some):
        return run([CLANG_FORMAT, "--dry-run", "-Werror", *some])

    paths = files(".c", ".h")
    chunks = [paths[first:first + FORMAT_CHUNK] for first in range(0, len(paths), FORMAT_CHUNK)]
    for chunk, (status, _) in zip(chunks, side_by_side(check, chunks)):
        for path in chunk:
            own_status, output = check([path]) if status != 0 else (0, "")
            advice = f"{output}\nrun {CLANG_FORMAT} -i on it"
            tap.case(name_of(path), advice if own_status != 0 else "")


INCLUDE = re.compile(r'^\s*#\s*include\s*"([^"]+)"', re.M)


def digest_of(path, seen):
    """Add the contents of @path and of the project's headers below it to @seen, by path."""
    if path in seen:
        return
    text = path.read_text(errors="replace")
    seen[path] = text
    for name in INCLUDE.findall(text):
        for base in (path.parent, ROOT / "src", ROOT / "include", ROOT / "test", ROOT / "bench"):
            if (base / name).is_file():
                digest_of((base / name).resolve(), seen)
                break


def tidy_key(path, command):
    seen = {}
    digest_of(path, seen)
    state = hashlib.sha256()
    for part in (run([CLANG_TIDY, "--version"])[1], (ROOT / ".clang-tidy").read_text(), command):
        state.update(part.encode() + b"\0")
    for header in sorted(seen):
        state.update(name_of(header).encode() + b"\0" + seen[header].encode() + b"\0")
    return state.hexdigest()


def check_clang_tidy(tap):
    database = json.loads((RELEASE / "compile_commands.json").read_text())
    CACHE.mkdir(parents=True, exist_ok=True)
    commands = {}
    for row in database:
        path = (Path(row["directory"]) / row["file"]).resolve()
        if ROOT in path.parents and (ROOT / "build") not in path.parents:
            commands.setdefault(path, row["command"])
    used = set()

    def check(item):
        path, command = item
        # The analyzer takes most of the time; what it looks for in tests, asan and ubsan find too.
        checks = [] if (ROOT / "src") in path.parents else ["--checks=-clang-analyzer-*"]
        key = tidy_key(path, command + " ".join(checks))
        used.add(key)
        kept = CACHE / key
        if kept.exists():
            return kept.read_text()
        status, output = run([CLANG_TIDY, "-p", RELEASE, "--quiet", *checks,
                              "--extra-arg=-Wno-unknown-warning-option", path])
        lines = [line for line in output.splitlines()
                 if not re.match(r"\d+ warnings? (generated|treated)|Suppressed|Use -header", line)]
        problem = "" if status == 0 else "\n".join(lines) or f"exit status {status}"
        if not problem:
            kept.write_text(problem)  # Only a clean verdict is kept: a bad one is shown again.
        return problem

    items = sorted(commands.items())
    for (path, _), problem in zip(items, side_by_side(check, items)):
        tap.case(name_of(path), problem)
    for kept in CACHE.iterdir():
        if kept.name not in used:
            kept.unlink()


def check_cppcheck(tap):
    def check(room):
        status, output = run(["cppcheck", "--enable=warning,portability", "--inline-suppr",
                              "--std=c11", "--quiet", "--error-exitcode=1", "-D_GNU_SOURCE",
                              "--suppress=missingInclude", "--suppress=unknownMacro",
                              # Both compilers define it as the arithmetic shift that is meant.
                              "--suppress=shiftTooManyBitsSigned",
                              # It does not see that ASSERT ends the program; clang's analyzer does.
                              "--suppress=nullPointer",
                              "-Iinclude", "-Isrc", room])
        return output if status != 0 else ""

    rooms = sorted(path for path in (ROOT / "src").iterdir() if any(path.glob("*.c")))
    for room, problem in zip(rooms, side_by_side(check, rooms)):
        tap.case(name_of(room), problem)


def check_headers(tap):
    flags = ["-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-D_GNU_SOURCE",
             "-Iinclude", "-Isrc", "-Itest", "-Ibench"]
    jobs = [(path, ["cc", "-x", "c", "-std=c17", "-Wno-unused-function"])
            for path in files(".h")]
    public = ROOT / "include" / "pyralog.h"
    jobs.append((public, ["cc", "-x", "c", "-std=c99", "-pedantic"]))
    jobs.append((public, ["g++", "-x", "c++", "-std=c++11", "-pedantic"]))

    def check(job):
        path, compiler = job
        # Included twice from a file of its own: alone, first, and guarded.
        include = f'#include "{path}"\n#include "{path}"\nint header_is_included;\n'
        done = subprocess.run([*compiler, *flags, "-"], input=include, cwd=ROOT, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        return done.stdout if done.returncode != 0 else ""

    for (path, compiler), problem in zip(jobs, side_by_side(check, jobs)):
        tap.case(f"{name_of(path)} as {compiler[3][5:]}", problem)


def mutable_symbols(object_path):
    """Return the names of the object's variables in writable sections."""
    names = set()
    for line in run(["objdump", "-t", object_path])[1].splitlines():
        match = re.match(r"[0-9a-f]+ .{7} (\S+)\s+[0-9a-f]+ (?:\.\w+ )?(\S+)$", line)
        if match and re.match(r"\.(data|bss|tdata|tbss)\b(?!\.rel\.ro)|\*COM\*", match[1]):
            if not match[2].startswith(".") and match[2] != match[1]:
                names.add(re.sub(r"\.\d+$", "", match[2]))
    return names


def check_state(tap):
    """R39: no mutable state at file scope in src/."""
    for row in json.loads((RELEASE / "compile_commands.json").read_text()):
        path = (Path(row["directory"]) / row["file"]).resolve()
        if (ROOT / "src") not in path.parents:
            continue
        names = mutable_symbols(RELEASE / row["output"])
        names -= MUTABLE_ALLOWED.get(name_of(path), set())
        tap.case(f"{name_of(path)} has no mutable state",
                 f"{name_of(path)}:1: rule R39: mutable state at file scope: "
                 f"{', '.join(sorted(names))}; pass a context instead" if names else "")


def check_exports(tap):
    """R16: what the libraries export begins with pyr_."""
    shared = [path for path in RELEASE.rglob("libpyralog.so*") if path.is_file()
              and not path.is_symlink() and not path.name.endswith((".p", ".symbols"))]
    static = list(RELEASE.rglob("libpyralog.a"))
    for path in shared + static:
        words = ["nm", "-D", "--defined-only"] if path in shared else ["nm", "-g", "--defined-only"]
        bad = [line for line in run([*words, path])[1].splitlines()
               if re.match(r"[0-9a-f]+ [B-TV-Z] ", line) and not re.search(r" pyr_\w+(@.*)?$", line)]
        bad = [line for line in bad if " A PYRALOG_" not in line]
        tap.case(f"{path.name} exports pyr_ only", "\n".join(bad))


def check_mutants(tap):
    """No deliberate mistake is in what users run, not even its name."""
    table = ROOT / "src" / "base" / "mutant.def"
    names = re.findall(r"^X\((\w+)", table.read_text(), re.M) if table.exists() else []
    targets = json.loads((RELEASE / "meson-info" / "intro-targets.json").read_text())
    for target in targets:
        if target["type"] not in ("executable", "shared library") or "/src/" not in \
                target["defined_in"].removeprefix(str(ROOT)):
            continue
        path = Path(target["filename"][0])
        if not path.exists():
            continue
        stripped = path.with_suffix(".stripped")
        run(["objcopy", "--strip-all", path, stripped])
        text = stripped.read_bytes()
        stripped.unlink()
        found = [name for name in names if re.search(rb"\b" + name.encode() + rb"\b", text)]
        tap.case(f"{path.name} holds no mutant's name", ", ".join(found))


def check_symbols(tap):
    check_state(tap)
    check_exports(tap)
    check_mutants(tap)


CHECKS = {"format": check_format, "clang-tidy": check_clang_tidy, "cppcheck": check_cppcheck,
          "headers": check_headers, "symbols": check_symbols}


def main(arguments):
    if len(arguments) != 1 or arguments[0] not in CHECKS:
        print(f"usage: tools/lint.py {' | '.join(CHECKS)}", file=sys.stderr)
        return 2
    tap = Tap()
    CHECKS[arguments[0]](tap)
    return tap.end()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
