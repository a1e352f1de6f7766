#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""pages.py - what is made of the table of keys, and the configurations that are shipped; TAP.

    pages.py check PROGRAM     docs/configuration.md and configs/schema.json are what the table says
    pages.py write PROGRAM     write both anew

PROGRAM is config_pages of a build. The check also holds the schema against configs/*.json and
against files that it must refuse, with a checker of the part of JSON Schema that is used; and the
reader (config/pages.c, config/read.c) against the schema: both must be of one mind.
"""
import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent.parent
PAGE = ROOT / "docs" / "configuration.md"
SCHEMA = ROOT / "configs" / "schema.json"
BEGIN, END = "<!-- keys: begin -->\n", "<!-- keys: end -->\n"

# What the schema and the reader must refuse, both.
BAD = [
    {"tls": {}}, {"storage": {"shrads": 1}}, {"storage": 5}, {"storage": {"wal": []}}, [], 1,
    {"storage": {"shards": -1}}, {"storage": {"shards": 65}}, {"storage": {"shards": "1"}},
    {"storage": {"shards": 1.5}}, {"storage": {"shards": None}}, {"storage": {"shards": True}},
    {"storage": {"must_exist": 1}}, {"storage": {"backend": "aio"}},
    {"storage": {"wal": {"file_bytes": 65537}}}, {"storage": {"wal": {"file_bytes": "1MB"}}},
    {"storage": {"wal": {"file_bytes": "1Mi"}}},
    {"storage": {"scrub": {"bytes_per_s": 5}}},
    {"topics": {"defaults": {"sync_interval_ms": 0}}},
    {"topics": {"defaults": {"sync_interval_ms": "5"}}},
    {"topics": {"defaults": {"retention_ms": "1d"}}},
]
GOOD = [
    {}, {"storage": {"shards": 64, "must_exist": True, "backend": "uring"}},
    {"storage": {"scrub": {"bytes_per_s": 0, "interval_ms": "24h"}, "wal": {"file_bytes": 69632}}},
    {"topics": {"defaults": {"retention_bytes": 9223372036854775807, "retention_ms": "0"}}},
]


def is_of_type(value, name):
    kinds = {"object": dict, "array": list, "string": str, "boolean": bool}
    if name == "integer":
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, kinds[name])


def fits(value, schema):
    """Return whether @value is what @schema allows; an unknown word of the schema is an error."""
    for word, rule in schema.items():
        if word in ("$schema", "title", "description"):
            continue
        if word == "type" and not is_of_type(value, rule):
            return False
        if word == "enum" and value not in rule:
            return False
        if word == "const" and (isinstance(value, bool) or value != rule):
            return False
        if word == "anyOf" and not any(fits(value, one) for one in rule):
            return False
        if word == "minimum" and value < rule or word == "maximum" and value > rule:
            return False
        if word == "multipleOf" and value % rule != 0:
            return False
        if word == "pattern" and not re.search(rule, value):
            return False
        if word == "properties":
            if not all(fits(value[name], rule[name]) for name in value if name in rule):
                return False
        if word == "additionalProperties" and any(n not in schema["properties"] for n in value):
            return False
        if word not in ("type", "enum", "const", "anyOf", "minimum", "maximum",
                        "multipleOf", "pattern", "properties", "additionalProperties"):
            raise ValueError(f"the checker does not know '{word}'")
    return True


def paths(schema, before=""):
    """Return the paths of all keys of @schema."""
    found = []
    for name, rule in schema["properties"].items():
        path = f"{before}{name}"
        found += paths(rule, path + ".") if "properties" in rule else [path]
    return found


def run(program, *words):
    done = subprocess.run([program, *words], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          text=True, check=False)
    return done.returncode, done.stdout


def no_doubles(pairs):
    if len({name for name, _ in pairs}) != len(pairs):
        raise ValueError("a doubled name")
    return dict(pairs)


def page_with(table):
    text = PAGE.read_text()
    head, rest = text.split(BEGIN)
    return head + BEGIN + table + END + rest.split(END)[1]


def reader_takes(program, value, folder):
    path = Path(folder) / "c.json"
    path.write_text(json.dumps(value))
    status, output = run(program, "check", path)
    return status == 0, output


def cases(program, table, schema_text):
    schema = json.loads(schema_text, object_pairs_hook=no_doubles)
    again = "; run test/unit/config/pages.py write PROGRAM"
    yield "page_is_current", PAGE.read_text() == page_with(table) or f"{PAGE} is stale{again}"
    yield "schema_is_current", SCHEMA.read_text() == schema_text or f"{SCHEMA} is stale{again}"
    keys = re.findall(r"^\| `([a-z_.]+)`", table, re.M)
    yield "schema_names_each_key", (len(keys) > 0 and paths(schema) == keys) or str(paths(schema))
    shipped = [path for path in sorted(SCHEMA.parent.glob("*.json")) if path != SCHEMA]
    yield "files_are_shipped", len(shipped) > 0 or "none"
    for path in shipped:
        text = re.sub(r"^\s*//.*$", "", path.read_text(), flags=re.M)
        name = f"shipped_{path.name}"
        yield f"{name}_fits_the_schema", fits(json.loads(text), schema) or "it does not"
        status, output = run(program, "check", path)
        yield f"{name}_is_read", status == 0 or output
    with tempfile.TemporaryDirectory() as folder:
        for value in GOOD + BAD:
            is_good = value in GOOD and value != []
            taken, output = reader_takes(program, value, folder)
            both = fits(value, schema) == is_good and taken == is_good
            yield f"{'good' if is_good else 'bad'}_{json.dumps(value)[:60]}", both or (
                f"schema {fits(value, schema)}, reader {taken}: {output}")


def main():
    if len(sys.argv) != 3 or sys.argv[1] not in ("check", "write"):
        print(__doc__)
        return 2
    program = str(Path(sys.argv[2]).resolve())
    table, schema = run(program, "markdown")[1], run(program, "schema")[1]
    if sys.argv[1] == "write":
        PAGE.write_text(page_with(table))
        SCHEMA.write_text(schema)
        return 0
    results = list(cases(program, table, schema))
    print(f"1..{len(results)}")
    for number, (name, problem) in enumerate(results, 1):
        is_good = problem is True
        if not is_good:
            print("\n".join(f"# {line}" for line in str(problem).splitlines()))
        print(f"{'ok' if is_good else 'not ok'} {number} - {name}".replace("#", "?"))
    return 0 if all(problem is True for _, problem in results) else 1


if __name__ == "__main__":
    sys.exit(main())
