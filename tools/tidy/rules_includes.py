# SPDX-License-Identifier: Apache-2.0
"""Which room may include what: the project's rooms, the system's headers, the libraries."""
from .source import Problem

# R1. Each room and the rooms it may include, as docs/architecture.md has them.
_TO_3 = ["base", "record", "quorum", "wire", "config", "io", "wal", "segment", "replication"]
_TO_4 = _TO_3 + ["partition"]
_TO_5 = _TO_4 + ["kv"]
_TO_6 = _TO_5 + ["transport", "cluster", "group", "embed"]
MAY_INCLUDE = {
    "base": [],
    "record": ["base"],
    "quorum": ["base"],
    "wire": ["base", "record"],
    "config": ["base"],
    "io": ["base"],
    "wal": ["base", "io"],
    "segment": ["base", "record", "io"],
    "replication": ["base", "record", "quorum"],
    "transport": ["base", "wire", "io"],
    "partition": _TO_3,
    "kv": _TO_4,
    "cluster": _TO_5 + ["transport"],
    "group": _TO_5 + ["transport", "cluster"],
    "embed": _TO_5,
    "client": ["base", "record", "wire", "transport", "io"],
    "kafka": _TO_6,
    "server": _TO_6 + ["client", "kafka"],
    # pyralog-sim is the one program that has the simulator, test/sim, in it.
    "cli": _TO_6 + ["client", "kafka", "server", "sim"],
}

# R2. The C library's headers that touch nothing outside the program; what some of them hold besides
# (the heap, exit) is among the banned calls of rules_code.py.
PURE_HEADERS = {
    "stdalign.h", "stdarg.h", "stdbool.h", "stddef.h", "stdint.h", "inttypes.h", "limits.h",
    "string.h", "float.h", "math.h", "ctype.h", "stdlib.h",
}
# A driven room also reads the errno values that io returns, and formats text.
DRIVEN_HEADERS = PURE_HEADERS | {"errno.h", "stdio.h", "stdatomic.h"}
# base implements what the others build on; still nothing of the operating system.
BASE_HEADERS = DRIVEN_HEADERS | {"cpuid.h", "immintrin.h", "nmmintrin.h", "x86intrin.h"}
HEADERS_OF_ROOM = {
    "record": PURE_HEADERS | {"stdio.h"}, "quorum": PURE_HEADERS, "replication": PURE_HEADERS,
    "wire": PURE_HEADERS | {"stdio.h"},
    "segment": DRIVEN_HEADERS, "wal": DRIVEN_HEADERS, "partition": DRIVEN_HEADERS,
    "kv": DRIVEN_HEADERS, "cluster": DRIVEN_HEADERS, "base": BASE_HEADERS,
}

# The libraries and the rooms that may know them. A key that ends in / stands for a folder.
LIBRARY_ROOMS = {
    "xxhash.h": ["base"], "isa-l.h": ["base"], "isa-l/": ["base"],
    "lz4.h": ["record"], "lz4frame.h": ["record"], "lz4hc.h": ["record"], "zlib.h": ["record"],
    "zstd.h": ["record"], "zstd_errors.h": ["record"], "snappy-c.h": ["record"],
    "cjson/": ["config", "kv"], "liburing.h": ["io"], "liburing/": ["io"], "nng/": ["transport"],
    "microhttpd.h": ["server"], "openssl/": ["kafka", "transport"],
}


def library_of(name):
    for key in LIBRARY_ROOMS:
        if name == key or (key.endswith("/") and name.startswith(key)):
            return key
    return None


def include_table(tree):
    """R1: the include graph is a table."""
    for source in tree.under("src"):
        room = source.room()
        if room not in MAY_INCLUDE:
            yield Problem(source.path, 1, "R1", f"src/{room}/ is no room of the include table, give "
                          "it a row in docs/architecture.md and in tools/tidy/rules_includes.py")
            continue
        allowed = set(MAY_INCLUDE[room]) | {room}
        for line, name, is_system in source.includes():
            target = name.split("/")[0]
            if is_system or name == "pyralog.h" or target in allowed:
                continue
            yield Problem(source.path, line, "R1", f"{room} may not include '{name}', only "
                          f"{', '.join(sorted(allowed))}: move the call up or the type down")


def library_rooms(tree):
    """R1: libraries have rooms too."""
    for source in tree.under("src"):
        for line, name, is_system in source.includes():
            library = library_of(name) if is_system else None
            if library and source.room() not in LIBRARY_ROOMS[library]:
                yield Problem(source.path, line, "R1", f"<{name}> belongs to "
                              f"{', '.join(LIBRARY_ROOMS[library])}: call through that room")


def sans_io(tree):
    """R2: pure and driven rooms know no operating system."""
    for source in tree.under("src"):
        allowed = HEADERS_OF_ROOM.get(source.room())
        for line, name, is_system in source.includes():
            if allowed is not None and is_system and name not in allowed and not library_of(name):
                yield Problem(source.path, line, "R2", f"<{name}> is outside what "
                              f"src/{source.room()} may know: go through io/io.h")


def spelling(tree):
    """R49: includes are from the root, the file's own header first."""
    for source in tree.sources.values():
        includes = list(source.includes())
        for line, name, is_system in includes:
            if ".." in name.split("/"):
                yield Problem(source.path, line, "R49", f"'{name}' climbs: include from the root")
            elif source.room() and not is_system and "/" not in name and name != "pyralog.h":
                yield Problem(source.path, line, "R49",
                              f"'{name}' names no room: write \"{source.room()}/{name}\"")
        own = f"{source.room()}/{source.stem()}.h"
        if source.room() and source.path.endswith(".c") and f"src/{own}" in tree.sources:
            if not includes or includes[0][1] != own:
                yield Problem(source.path, 1, "R49", f"include \"{own}\" first")


RULES = [include_table, library_rooms, sans_io, spelling]
