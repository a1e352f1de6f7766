# SPDX-License-Identifier: Apache-2.0
"""The installed tree: everything is in place, and programs build and run against it."""
import os
import re
from pathlib import Path

from shared import BUILD, C99, CXX, ROOT, Case, functions

PREFIX = "usr/local"
# The programs that the tree has, by their manual pages.
PROGRAMS = sorted(path.stem for path in (ROOT / "docs" / "man").glob("*.1"))


class Tree(Case):
    def setUp(self):
        super().setUp()
        # A folder with a space: DESTDIR is the packager's, not ours.
        self.destination = self.folder / "dest dir"
        self.run_program(["meson", "install", "--no-rebuild", "--quiet", "-C", BUILD],
                         env=dict(os.environ, DESTDIR=str(self.destination)))
        self.prefix = self.destination / PREFIX
        self.library = next(self.prefix.glob("lib/**/libpyralog.a")).parent

    def package(self, *words):
        """Ask pkg-config about the installed library; the answer as words."""
        env = dict(os.environ, PKG_CONFIG_PATH=str(self.library / "pkgconfig"),
                   PKG_CONFIG_SYSROOT_DIR="")
        # The file names the final prefix, as it must; here it lies below the destination.
        shown = self.run_program(["pkg-config", *words, "pyralog"], env=env).split()
        return [re.sub(rf"^(-[IL])/{PREFIX}", rf"\1{self.prefix}", word) for word in shown]

    def build(self, compiler, name, linked):
        program = self.folder / name
        self.run_program([*compiler, ROOT / "examples" / f"{name}.c", "-x", "none", "-o", program,
                          *self.package("--cflags"), "-pthread", *linked])
        return program

    def shared(self):
        return [*self.package("--libs"), f"-Wl,-rpath,{self.library}"]

    def static(self):
        words = self.package("--static", "--libs")
        return [self.library / "libpyralog.a" if word == "-lpyralog" else word for word in words]

    def check_programs(self, linked):
        for index, compiler in enumerate((C99, CXX)):
            folder = self.folder / f"data{index}"
            shown = self.run_program([self.build(compiler, "append", linked), folder])
            self.assertEqual(shown, "offset 0, copies on stable storage: 1\n0: hello\n")
            shown = self.run_program([self.build(compiler, "tail", linked), folder])
            self.assertEqual(shown.count("\n"), 10)

    def test_everything_is_in_place(self):
        """installed: programs, header, libraries, pkg-config file, pages, completions"""
        for path in ("include/pyralog.h", "share/man/man3/pyr_log.3"):
            self.assertTrue((self.prefix / path).exists(), path)
        for name in PROGRAMS:
            for path in (f"bin/{name}", f"share/man/man1/{name}.1",
                         f"share/bash-completion/completions/{name}"):
                self.assertTrue((self.prefix / path).exists(), path)
        for name in ("libpyralog.so", "libpyralog.so.0", "libpyralog.a", "pkgconfig/pyralog.pc"):
            self.assertTrue((self.library / name).exists(), name)
        for name in functions():
            self.assertTrue((self.prefix / f"share/man/man3/{name}.3").exists(), name)
        self.assertEqual(sorted(path.name for path in self.destination.iterdir()), ["usr"])

    def test_nothing_inside_is_installed(self):
        """installed: no header, archive or program but the public ones"""
        names = sorted(path.name for path in self.prefix.rglob("*") if path.suffix in (".h", ".a"))
        self.assertEqual(names, ["libpyralog.a", "pyralog.h"])
        self.assertEqual(sorted(path.name for path in self.prefix.glob("bin/*")), PROGRAMS)

    def test_programs_use_the_shared_library(self):
        """installed: an example builds and runs against the shared library, in C and in C++"""
        self.check_programs(self.shared())
        program = self.folder / "append"
        self.assertIn("[libpyralog.so.0]", self.run_program(["readelf", "-d", program]))

    def test_programs_use_the_static_library(self):
        """installed: an example builds and runs against the static library, in C and in C++"""
        self.check_programs(self.static())
        program = self.folder / "append"
        self.assertNotIn("libpyralog", self.run_program(["readelf", "-d", program]))

    def test_static_library_minds_its_own_names(self):
        """installed: a program with functions named like ours links the static library"""
        names = ["wal_open", "segment_log_open", "io_create", "err_set", "crc32c", "batch_header_read",
                 "store_lock", "log_seal", "ring_push", "list_push"]
        source = self.folder / "names.c"
        source.write_text("#include <pyralog.h>\n#include <stdio.h>\n" +
                          "".join(f"int {name}(void);\nint {name}(void) {{ return 1; }}\n"
                                  for name in names) +
                          'int main(void)\n{\n    puts(pyr_version());\n    struct pyr_log *log;\n'
                          '    return pyr_log_open("", NULL, &log, NULL) == PYR_OK;\n}\n')
        program = self.folder / "names"
        self.run_program([*C99, source, *self.package("--cflags"), "-o", program, *self.static()])
        self.assertTrue(self.run_program([program]).startswith("0."))

    def test_pkg_config_keeps_the_inner_libraries_private(self):
        """installed: a program against the shared library links that alone"""
        self.assertEqual([word for word in self.package("--libs") if word.startswith("-l")],
                         ["-lpyralog"])
        static = self.package("--static", "--libs")
        for word in ("-luring", "-llz4", "-lisal", "-lz", "-pthread"):
            self.assertIn(word, static)

    def test_installed_pages_are_those_of_the_source(self):
        """installed: man finds each call by its name"""
        page = self.prefix / "share/man/man3/pyr_log_append.3"
        self.assertEqual(Path(page).read_text(), (ROOT / "docs/man/pyr_log.3").read_text())
