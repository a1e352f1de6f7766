# SPDX-License-Identifier: Apache-2.0
"""Tests of tools/tidy.py: a small tree passes, and each planted mistake is found."""
import tempfile
import unittest
from pathlib import Path

from tidy import rules_code, rules_docs, rules_files, rules_includes
from tidy.source import Source, Tree

GROUPS = (rules_includes, rules_files, rules_code, rules_docs)
SPDX = "/* SPDX-License-Identifier: Apache-2.0 */\n"
HASH_SPDX = "# SPDX-License-Identifier: Apache-2.0\n"
HEADER = SPDX + """/*
 * wal/ring - a ring of things.
 *
 * Invariants:
 *   WAL-1  there is never more than one thing, which
 *          takes two lines to say
 */
#ifndef WAL_RING_H
#define WAL_RING_H

#include <stdint.h>

/** Return the number of things in @ring. Borrows. */
uint32_t ring_count(const void *ring);

#endif /* WAL_RING_H */
"""
CODE = SPDX + """/*
 * wal/ring - a ring of things.
 */
#include "wal/ring.h"

#include "base/assert.h"

/* What is in an empty ring. */
enum { NOTHING = 0 };

uint32_t ring_count(const void *ring)
{
    ASSERT(ring);
    ASSERT(NOTHING == 0); /* WAL-1 */
    return NOTHING; /* "strcpy(a, b)" in a comment or a text is not a call. */
}
"""
TEST = SPDX + """/*
 * Tests of wal/ring.
 */
#include "lib/case.h"

/* An empty ring has no things. */
TEST(ring_count, is_zero)
{
    CHECK(1);
}
"""
BASE = SPDX + """/*
 * base/assert - assertions.
 */
#ifndef BASE_ASSERT_H
#define BASE_ASSERT_H

#endif /* BASE_ASSERT_H */
"""


class Planted(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.root = Path(holder.name)
        self.put("src/wal/ring.h", HEADER)
        self.put("src/wal/ring.c", CODE)
        self.put("src/base/assert.h", BASE)
        self.put("src/base/README.md", "# base\n")
        self.put("src/wal/README.md", "# wal\n\n- ring.h, ring.c: a ring\n")
        self.put("src/README.md", "# map\n\n- base/\n- wal/\n")
        self.put("test/unit/wal/test_ring.c", TEST)
        self.put("meson.build", HASH_SPDX)
        self.put("README.md", "# Title\n")
        self.put(rules_docs.INVARIANTS_PAGE, rules_docs.invariants_page(Tree(self.root)))

    def put(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def edit(self, name, old, new):
        text = (self.root / name).read_text()
        self.assertIn(old, text)
        self.put(name, text.replace(old, new, 1))

    def add(self, text):
        """Put @text into a function of its own at the end of ring.c."""
        self.put("src/wal/ring.c", CODE + "\nstatic void more(void)\n{\n" + text + "\n}\n")

    def found(self):
        tree = Tree(self.root)
        return [str(problem) for group in GROUPS for rule in group.RULES for problem in rule(tree)]

    def finds(self, rule, part):
        problems = self.found()
        self.assertTrue(any(f"rule {rule}: " in text and part in text for text in problems),
                        f"no '{rule} ... {part}' in {problems}")

    def test_good_tree(self):
        """a good tree passes"""
        self.assertEqual(self.found(), [])

    def test_include_table(self):
        """an arrow that the include table lacks"""
        self.edit("src/wal/ring.c", '"base/assert.h"', '"segment/log.h"')
        self.finds("R1", "segment/log.h")

    def test_unknown_room(self):
        """a room without a row"""
        self.put("src/attic/a.h", BASE)
        self.finds("R1", "attic")

    def test_library(self):
        """a library in another library's room"""
        self.edit("src/wal/ring.h", "<stdint.h>", "<liburing.h>")
        self.finds("R1", "liburing")

    def test_sans_io(self):
        """an operating system's header in a driven room"""
        self.edit("src/wal/ring.h", "<stdint.h>", "<pthread.h>")
        self.finds("R2", "pthread.h")

    def test_include_spelling(self):
        """includes that climb, name no room, or put the own header last"""
        self.edit("src/wal/ring.c", '"base/assert.h"', '"../base/assert.h"')
        self.finds("R49", "climbs")
        self.put("src/wal/ring.c", CODE.replace('"wal/ring.h"', '"ring.h"'))
        self.finds("R49", "names no room")
        self.finds("R49", "first")

    def test_licence(self):
        """a file without its licence line"""
        self.put("test/unit/wal/test_ring.c", TEST.removeprefix(SPDX))
        self.finds("R7", "SPDX")
        self.put("tools/x.py", "print()\n")
        self.finds("R7", "two lines")

    def test_opening(self):
        """a file without an opening comment, or with another file's"""
        self.put("test/unit/wal/test_ring.c", SPDX + '#include "lib/case.h"\n')
        self.finds("R8", "no opening comment")
        self.edit("src/wal/ring.c", "wal/ring - a ring", "wal/wheel - a ring")
        self.finds("R8", "wal/ring")

    def test_file_length(self):
        """long files, and the reason that excuses the middling ones"""
        self.put("src/wal/ring.c", CODE + "\n" * 650)
        self.finds("R6", "reason")
        self.put("src/wal/ring.c", CODE.replace(" a ring of things.\n", " a ring of things.\n *\n"
                                                " * Length: one table.\n") + "\n" * 650)
        self.assertEqual([text for text in self.found() if "R6:" in text], [])
        self.put("src/wal/ring.c", CODE + "\n" * 1000)
        self.finds("R6", "at most 1000")

    def test_function_length(self):
        """a function of 71 lines; one of 70 passes"""
        self.add("\n".join(["    ring_count(0);"] * 67))
        self.assertEqual([text for text in self.found() if "R22" in text], [])
        self.add("\n".join(["    ring_count(0);"] * 68))
        self.finds("R22", "71 lines")

    def test_banned_calls(self):
        """calls that no one makes, and calls that the room may not make"""
        self.add("    strcpy(a, b);")
        self.finds("R38", "strcpy")
        self.add("    x = malloc(1);")
        self.finds("R36", "malloc")
        self.add('    printf("x");')
        self.finds("R35", "printf")
        self.add("    now = time(NULL);")
        self.finds("R3", "time()")
        self.add("    exit(1);")
        self.finds("R33", "exit")
        self.add("    io->free(memory);")
        self.assertEqual([text for text in self.found() if "R36" in text], [])

    def test_labels(self):
        """a label that is no failure; case labels pass"""
        self.add("out:\n    return;")
        self.finds("R34", "'out'")
        self.add("    switch (x) {\n    case A:\n    default:\n        break;\n    }")
        self.assertEqual([text for text in self.found() if "R34" in text], [])

    def test_conditional(self):
        """#if inside a function"""
        self.add("#ifdef X\n    ring_count(0);\n#endif")
        self.finds("R27", "inside more")

    def test_words(self):
        """size and len in names; foreign names pass"""
        self.add("    uint32_t buffer_len = sizeof(size_t) + info.st_size;")
        self.finds("R18", "buffer_len")
        self.assertEqual(len([text for text in self.found() if "R18" in text]), 1)

    def test_comments(self):
        """line comments, open work, comments that are no sentences"""
        self.add("    ring_count(0); // why")
        self.finds("R12", "//")
        self.add("    /* TODO later. */")
        self.finds("R11", "open work")
        self.add("    /* TODO(#12) later. */")
        self.assertEqual([text for text in self.found() if "R11" in text], [])
        self.add("    /* count the things */")
        self.finds("R12", "sentence")

    def test_density(self):
        """too few assertions in a core room"""
        self.edit("src/wal/ring.c", "    ASSERT(ring);\n", "")
        self.finds("R43", "1 assertions in 1 functions")

    def test_nolint(self):
        """an exception from the linter without its reason"""
        self.add("    ring_count(0); /* NOLINT */")
        self.finds("R62", "reason")

    def test_invariants(self):
        """invariants that are cited nowhere, stated twice or nowhere, or not on their page"""
        self.edit("src/wal/ring.c", " /* WAL-1 */", "")
        self.finds("R9", "WAL-1 is cited by no")
        self.edit("src/wal/ring.c", "a ring of things.", "a ring.\n *\n *   WAL-1  again")
        self.finds("R9", "stated before")
        self.put("src/wal/ring.c", CODE.replace("WAL-1", "WAL-2"))
        self.finds("R9", "WAL-2 is stated nowhere")
        self.edit("src/wal/ring.h", "which\n *          takes", "that\n *          takes")
        self.finds("R9", "tools/tidy.py --write")

    def test_invariants_page(self):
        """an invariant of two lines is one row of the page"""
        page = (self.root / rules_docs.INVARIANTS_PAGE).read_text()
        self.assertIn("| WAL-1 | there is never more than one thing, which takes two lines to say. |",
                      page)

    def test_prototypes(self):
        """a prototype without its comment, or with one that is not an order"""
        self.edit("src/wal/ring.h", "/** Return the number of things in @ring. Borrows. */\n", "")
        self.finds("R47", "ring_count has no")
        self.put("src/wal/ring.h", HEADER.replace("/** Return", "/** Returns"))
        self.finds("R47", "imperative")

    def test_guard(self):
        """a header guard of another name"""
        self.put("src/wal/ring.h", HEADER.replace("WAL_RING_H", "RING_H"))
        self.finds("R47", "WAL_RING_H")

    def test_readmes(self):
        """a folder's page that is missing, too long, or forgets or repeats a file"""
        self.put("src/wal/README.md", "# wal\n")
        self.finds("R14", "ring.c 0 times")
        self.put("src/wal/README.md", "# wal\n\nring.c, ring.c\n")
        self.finds("R14", "ring.c 2 times")
        self.put("src/wal/README.md", "# wal\n\nring.c\n" + "\n" * 60)
        self.finds("R14", "at most 60")
        (self.root / "src/wal/README.md").unlink()
        self.finds("R14", "missing")
        self.put("src/README.md", "# map\n\n- wal/\n")
        self.finds("R14", "base/")

    def test_root(self):
        """a stray file in the root"""
        self.put("NOTES.md", "x\n")
        self.finds("R67", "root")

    def test_missing_test(self):
        """a source file that no test covers, until a test names it"""
        self.put("test/unit/wal/test_ring.c", SPDX + "/*\n * Tests of something.\n */\n")
        (self.root / "test/unit/wal/test_ring.c").rename(self.root / "test/unit/wal/test_all.c")
        self.finds("R54", "test_ring.c")
        self.put("test/unit/wal/test_all.c", SPDX + "/*\n * Tests of wal/ring.c.\n */\n")
        self.assertEqual([text for text in self.found() if "R54" in text], [])

    def test_bench(self):
        """a benchmark without a question, and one that the list forgets"""
        self.put("bench/bench_append.c", SPDX + "/*\n * bench/bench_append - appends.\n */\n")
        self.put("bench/README.md", "# bench\n")
        self.finds("R60", "no question")
        self.finds("R60", "does not list")

    def test_claims(self):
        """a number in README.md without its benchmark"""
        self.put("README.md", "# Title\n\nIt writes 300,000 records/s.\n")
        self.finds("R67", "300,000")
        self.put("README.md", "# Title\n\nIt writes 300,000 records/s ([how](bench/README.md)).\n")
        self.assertEqual([text for text in self.found() if "R67" in text], [])


class Parsing(unittest.TestCase):
    def test_code_without_comments(self):
        """comments and texts are blanked, lines stay"""
        source = Source("src/wal/a.c", 'a /* x\ny */ "q\\"r" b\n')
        self.assertEqual(source.code, 'a     \n     "    " b\n')

    def test_functions(self):
        """functions are found over several lines, structs are not"""
        text = "struct a\n{\n};\n\nstatic int go(int a,\n              int b)\n{\n    return a;\n}\n"
        functions = [function for function in Source("src/wal/a.c", text).functions]
        self.assertEqual([(one.name, one.is_static, one.line_count()) for one in functions],
                         [("go", True, 5)])
