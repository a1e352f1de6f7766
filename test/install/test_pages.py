# SPDX-License-Identifier: Apache-2.0
"""The pages say what the header says, the README shows code that runs, and the libraries export what
they promise."""
import re
import subprocess

from shared import BUILD, ROOT, Case, functions

PAGES = sorted((ROOT / "docs" / "man").glob("*.[1-8]"))
# What mandoc says of the machine it runs on and not of the page.
NOT_OF_THE_PAGE = re.compile(r"mandoc\.db|referenced manual not found")


def dedented(text):
    return [line.strip() for line in text.splitlines() if line.strip()]


def holds(lines, part):
    return any(lines[at:at + len(part)] == part for at in range(len(lines)))


class Pages(Case):
    def test_manual_pages_pass_the_linter(self):
        """pages: mandoc's linter has nothing to say"""
        self.assertTrue(PAGES)
        for page in PAGES:
            done = subprocess.run(["mandoc", "-T", "lint", str(page)], stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, text=True, check=False)
            found = [line for line in done.stdout.splitlines() if not NOT_OF_THE_PAGE.search(line)]
            self.assertEqual(found, [])

    def test_every_function_is_documented(self):
        """pages: each function of the header has its prototype and a sentence in a manual page"""
        page = (ROOT / "docs" / "man" / "pyr_log.3").read_text()
        synopsis, _, rest = page.partition(".Sh DESCRIPTION")
        self.assertGreater(len(functions()), 20)
        for name in functions():
            self.assertRegex(synopsis, rf"\.F[no] {name}\b")
            self.assertRegex(rest, rf"\.Fn {name}\b")
        for name in set(re.findall(r"\.F[no] (pyr_\w+)", page)):
            self.assertIn(name, functions())

    def test_every_error_and_option_is_documented(self):
        """pages: each error code and each option stands in the manual page"""
        page = (ROOT / "docs" / "man" / "pyr_log.3").read_text()
        header = (ROOT / "include" / "pyralog.h").read_text()
        for kind in ("store", "log"):
            struct = re.search(rf"struct pyr_{kind}_options \{{(.*?)\n\}};", header, re.S)[1]
            code = re.sub(r"/\*.*?\*/", "", struct, flags=re.S)
            for name in re.findall(r"(\w+);", code):
                self.assertRegex(page, rf"\.It Va .*\b{name}\b")
        later = {"PYR_ERR_CONDITION", "PYR_ERR_EXISTS", "PYR_ERR_CLOSED", "PYR_ERR_BUSY",
                 "PYR_ERR_NOT_LEADER"}
        for name in set(re.findall(r"\b(PYR_ERR_[A-Z_]+) = ", header)) - later:
            self.assertIn(f".It Dv {name}\n", page)

    def test_every_call_can_be_found_by_man(self):
        """pages: each function has a link, so that man finds it by its name"""
        build = (ROOT / "docs" / "man" / "meson.build").read_text()
        for name in functions():
            self.assertIn(f"'{name}'", build)

    def test_readme_shows_code_that_runs(self):
        """pages: each piece of C in README.md stands in an example, line for line"""
        examples = [dedented(path.read_text()) for path in (ROOT / "examples").glob("*.c")]
        pieces = re.findall(r"^```c\n(.*?)^```", (ROOT / "README.md").read_text(), re.M | re.S)
        self.assertTrue(pieces)
        for piece in pieces:
            self.assertTrue(any(holds(lines, dedented(piece)) for lines in examples), piece)

    def test_durability_page_names_every_policy(self):
        """pages: docs/durability.md has a row for each policy of the header"""
        page = (ROOT / "docs" / "durability.md").read_text()
        header = (ROOT / "include" / "pyralog.h").read_text()
        for name in re.findall(r"\b(PYR_SYNC_\w+) =", header):
            self.assertRegex(page, rf"(?m)^\| `{name}`")


class Libraries(Case):
    def names_of(self, words):
        lines = self.run_program(["nm", "--defined-only", *words]).splitlines()
        return sorted(line.split()[2].partition("@")[0] for line in lines
                      if re.match(r"[0-9a-f]+ [B-TV-Z] ", line) and " A PYRALOG_" not in line)

    def test_shared_library_exports_the_header(self):
        """libraries: the shared one exports the header's functions and nothing else"""
        path = BUILD / "src" / "lib" / "libpyralog.so"
        self.assertEqual(self.names_of(["-D", path]), functions())

    def test_static_library_exports_the_header(self):
        """libraries: the static one shows the header's functions and nothing else"""
        path = BUILD / "src" / "lib" / "libpyralog.a"
        self.assertEqual(self.names_of(["-g", path]), functions())

    def test_soname_has_the_number_of_the_interface(self):
        """libraries: programs ask for libpyralog.so.0, with symbols of version PYRALOG_0"""
        path = BUILD / "src" / "lib" / "libpyralog.so"
        self.assertIn("[libpyralog.so.0]", self.run_program(["readelf", "-d", path]))
        self.assertIn("pyr_log_open@@PYRALOG_0", self.run_program(["nm", "-D", path]))
