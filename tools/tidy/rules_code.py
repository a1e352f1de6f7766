# SPDX-License-Identifier: Apache-2.0
"""Inside the code: banned calls, labels, preprocessor, words, comments, assertions."""
import re

from .source import Problem

# Calls banned everywhere, and what to use instead.
BANNED = {
    "sprintf": "snprintf", "vsprintf": "vsnprintf", "strcpy": "a bounded copy (base/text.h)",
    "strcat": "a bounded copy (base/text.h)", "strncpy": "a bounded copy (base/text.h)",
    "strncat": "a bounded copy (base/text.h)", "gets": "fgets", "alloca": "a bounded array",
    "strtok": "a loop over struct bytes", "rand": "base/prng.h", "srand": "base/prng.h",
    "random": "base/prng.h", "drand48": "base/prng.h", "localtime": "gmtime_r",
    "gmtime": "gmtime_r", "ctime": "strftime", "asctime": "strftime", "atoi": "base/parse.h",
    "atol": "base/parse.h", "atof": "base/parse.h", "tmpnam": "mkdtemp", "mktemp": "mkdtemp",
    "scanf": "base/parse.h", "sscanf": "base/parse.h", "assert": "ASSERT",
}
# Calls that a test of these very things may need.
BANNED_OUTSIDE_TESTS = {
    "system": "nothing: run no shell", "popen": "nothing: run no shell",
    "setlocale": "nothing: the host decides", "umask": "modes at open",
}
PRINTS = "printf fprintf vprintf vfprintf puts putchar fputs fputc perror dprintf syslog".split()
HEAP = ("malloc calloc realloc reallocarray free strdup strndup aligned_alloc posix_memalign "
        "asprintf vasprintf").split()
CLOCKS = "time gettimeofday clock_gettime clock sleep usleep nanosleep".split()
PROCESS = "exit _exit abort quick_exit atexit signal sigaction setrlimit getenv setenv".split()
# In src/: what only some rooms or files may call.
BOUND = [
    (PRINTS, {"server", "cli", "src/base/assert.c", "src/base/mutant.c"}, "R35",
     "library code does not print: return an error or a trace event"),
    # embed makes its handles before there is an io to ask.
    (HEAP, {"io", "embed", "server", "cli", "client"}, "R36",
     "memory comes from io_alloc, so that its n-th failure can be tested"),
    (CLOCKS, {"io", "cli"}, "R3", "only io/io.h reads a clock or sleeps"),
    (PROCESS, {"server", "cli", "src/base/assert.c", "src/base/mutant.c"}, "R33",
     "the library is a guest: it neither ends nor changes the process"),
]
# R18: words that say nothing of bytes, records or slots; names that others gave are exempt.
BAD_WORDS = {"size": "bytes or count", "len": "bytes or count", "sz": "bytes or count",
             "term": "epoch"}
FOREIGN_NAMES = {
    "SIZE_MAX", "SSIZE_MAX", "size_t", "ssize_t", "sizeof", "st_size", "iov_len", "f_bsize", "f_frsize",
    "st_blksize", "si_size", "ss_size", "contentSize", "msg_iovlen", "compact_size",
    "malloc_usable_size", "cq_off", "resp_len", "ring_sz", "getpagesize", "stat_size",
}
FOREIGN_PREFIXES = ("rocksdb_", "rd_kafka_", "mdb_", "io_uring_", "nng_", "LZ4", "ZSTD_")
# R43: the rooms where an error costs data assert twice a function, the others once.
CORE_ROOMS = {"quorum", "replication", "wal", "segment", "partition", "record"}
NOLINT_MAX = 20


def calls(source):
    """Yield (line, name) of each call in @source."""
    for number, line in enumerate(source.code_lines, 1):
        if line.lstrip().startswith("#"):
            continue
        for match in re.finditer(r"(?<![\w.>])(\w+)\s*\(", line):
            yield number, match[1]


def banned_calls(tree):
    """R38: calls that no one makes."""
    for source in tree.sources.values():
        banned = BANNED if source.path.startswith("test/") else {**BANNED, **BANNED_OUTSIDE_TESTS}
        for line, name in calls(source):
            if name in banned:
                yield Problem(source.path, line, "R38",
                              f"{name}() is banned: use {banned[name]}")


def bound_calls(tree):
    """R33, R35, R36: calls that belong to certain rooms."""
    for source in tree.under("src"):
        for line, name in calls(source):
            for names, allowed, rule, advice in BOUND:
                if name in names and source.room() not in allowed and source.path not in allowed:
                    yield Problem(source.path, line, rule, f"{name}() here: {advice}")


def labels(tree):
    """R34: labels begin with fail_."""
    for source in tree.sources.values():
        for number, line in enumerate(source.code_lines, 1):
            match = re.match(r"\s*(\w+):\s*$", line)
            if match and match[1] != "default" and not match[1].startswith("fail_"):
                yield Problem(source.path, number, "R34",
                              f"label '{match[1]}': name it fail_<what it undoes>")


def conditional_code(tree):
    """R27: no #if inside a function."""
    for source in tree.sources.values():
        for function in source.functions:
            for number in range(function.line_first, function.line_last + 1):
                if re.match(r"\s*#\s*(if|el|end)", source.code_lines[number - 1]):
                    yield Problem(source.path, number, "R27", f"'#if' inside {function.name}: "
                                  "choose by file in meson.build or by an empty inline function")


def is_defined(name, line):
    """Return whether @line may define the constant @name, rather than use the system's."""
    return bool(re.match(rf"\s*(#\s*define\s+{name}\b|{name}\s*(=|,|$))", line))


def words(tree):
    """R18: one word, one meaning."""
    for source in tree.sources.values():
        seen = set()
        for number, line in enumerate(source.code_lines, 1):
            # The name of a test is a sentence, and a member is named where it is declared.
            if re.match(r"\s*#\s*include|TEST\(", line):
                continue
            for name in re.findall(r"(?<![\w.>])[A-Za-z_]\w*\b", line):
                parts = name.lower().split("_")
                bad = next((word for word in BAD_WORDS if word in parts), None)
                is_foreign = (name in FOREIGN_NAMES or name.endswith("max_size")
                              or name.startswith(FOREIGN_PREFIXES)
                              or (name.isupper() and not is_defined(name, line)))
                if bad and not is_foreign and name not in seen:
                    seen.add(name)
                    yield Problem(source.path, number, "R18", f"'{name}' says {bad}: say "
                                  f"{BAD_WORDS[bad]} (docs/glossary.md)")


def line_comments(tree):
    """R12: block comments only."""
    for source in tree.sources.values():
        for line in source.line_comments:
            yield Problem(source.path, line, "R12", "a // comment: write /* ... */")


def open_work(tree):
    """R11: open work is an issue."""
    for source in tree.sources.values():
        for number, line in enumerate(source.lines, 1):
            if re.search(r"\b(FIXME|XXX)\b|\bTODO\b(?!\(#\d+\))", line):
                yield Problem(source.path, number, "R11",
                              "open work: file an issue and write TODO(#number), or do it")


def sentences(tree):
    """R12: a comment on lines of its own is a sentence."""
    for source in tree.sources.values():
        opening = source.opening()
        for comment in source.comments[1:]:
            start = source.text.rfind("\n", 0, comment.start) + 1
            stands_alone = not source.text[start:comment.start].strip()
            text = comment.words()
            is_mark = re.match(r"--|clang-format|NOLINT|[A-Z_]+$", text)
            if comment is opening or not stands_alone or is_mark or not text:
                continue
            last = text.split("\n\n")[-1]
            # A comment may end with the invariants that it is about.
            last = re.sub(r"(,? *[A-Z]{2,8}-\d+)+\.?$", ".", last)
            if not re.search(r'[.:?!]["\')]*$', last) and "  " not in last:
                yield Problem(source.path, comment.line, "R12",
                              "the comment does not end like a sentence: end it with a full stop")
            elif re.match(r"[a-z]+ ", text) and comment.text.startswith("/**"):
                yield Problem(source.path, comment.line, "R12",
                              "the comment does not begin with a capital: begin it with one")


def density(tree):
    """R43: assertions are dense."""
    for room in tree.rooms():
        files = [source for source in tree.under(f"src/{room}") if source.path.endswith(".c")]
        functions = sum(len(source.functions) for source in files)
        asserts = sum(len(re.findall(r"\bASSERT(?:_SLOW)?\s*\(", source.code)) for source in files)
        floor = 2 if room in CORE_ROOMS else 1
        if asserts < floor * functions:
            yield Problem(f"src/{room}/", 1, "R43", f"{asserts} assertions in {functions} "
                          f"functions, at least {floor} each on average: assert arguments, results "
                          "and the states that cannot be")


def nolints(tree):
    """R62: few exceptions from the linter, each with its reason."""
    places = []
    for source in tree.sources.values():
        for number, line in enumerate(source.lines, 1):
            if "NOLINT" in line:
                places.append((source.path, number))
                if not re.search(r"NOLINT(NEXTLINE)?\([\w.,* -]+\): \S", line):
                    yield Problem(source.path, number, "R62", "an exception without check or "
                                  "reason: write NOLINTNEXTLINE(check): reason")
    if len(places) > NOLINT_MAX:
        yield Problem(*places[NOLINT_MAX], "R62", f"{len(places)} exceptions from the linter in "
                      f"all, at most {NOLINT_MAX}: mend the code instead")


RULES = [banned_calls, bound_calls, labels, conditional_code, words, line_comments, open_work,
         sentences, density, nolints]
