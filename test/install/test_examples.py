# SPDX-License-Identifier: Apache-2.0
"""The examples and the header's own examples, built and run as a reader would."""
import signal
import subprocess

from shared import BUILD, C99, CXX, ROOT, Case, section_examples

EXAMPLES = BUILD / "examples"
LIBRARY = BUILD / "src" / "lib"


class Examples(Case):
    def example(self, name, *arguments, **options):
        return self.run_program([EXAMPLES / f"example_{name}", self.folder / "data", *arguments],
                                **options)

    def test_append_finds_what_the_first_run_left(self):
        """examples: append finds the record of the run before"""
        self.assertEqual(self.example("append"), "offset 0, copies on stable storage: 1\n0: hello\n")
        self.assertEqual(self.example("append"),
                         "offset 1, copies on stable storage: 1\n0: hello\n1: hello\n")

    def test_tail_sees_every_record_in_order(self):
        """examples: tail prints each record once, in order"""
        expected = "".join(f"{number - 1}: record {number}\n" for number in range(1, 11))
        self.assertEqual(self.example("tail"), expected)

    def test_batch_is_durable_at_the_end(self):
        """examples: batch waits for all it started"""
        self.assertIn("durable up to offset 20000\n", self.example("batch", "20000"))

    def test_examples_say_what_is_wrong(self):
        """examples: a folder that cannot be made gives one clear line and exit status 1"""
        for name in ("append", "tail", "batch", "wal"):
            shown = self.run_program([EXAMPLES / f"example_{name}", "/dev/null/data"], status=1)
            self.assertIn("/dev/null/data", shown)
            self.assertEqual(shown.count("\n"), 1)


class Wal(Case):
    """A program with a write-ahead log of its own, and an impatient user."""

    def start(self):
        return subprocess.Popen([EXAMPLES / "example_wal", self.folder / "data"], text=True,
                                stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.STDOUT)

    def totals(self):
        shown = self.run_program([EXAMPLES / "example_wal", self.folder / "data"], input="?\n")
        return {name: int(total) for name, total in
                (line.split() for line in shown.splitlines())}

    def test_counters_are_there_after_a_clean_end(self):
        """wal: counters are there the next time"""
        shown = self.run_program([EXAMPLES / "example_wal", self.folder / "data"],
                                 input="apples 3\npears\napples 2\n")
        self.assertEqual(shown, "apples 3\npears 1\napples 5\n")
        self.assertEqual(self.totals(), {"apples": 5, "pears": 1})

    def test_counters_survive_kill_9(self):
        """wal: what was answered survives kill -9, ten times over"""
        answered = {}
        for life in range(10):
            child = self.start()
            for number in range(20 + life):
                name = f"counter{number % 3}"
                child.stdin.write(f"{name} 1\n")
                child.stdin.flush()
                answered[name] = int(child.stdout.readline().split()[1])
                if number == 10 and life % 3 == 0:
                    child.stdin.write("!\n")
                    child.stdin.flush()
                    self.assertIn("the log begins at", child.stdout.readline())
            child.stdin.write("counter0 1\n")
            child.stdin.flush()
            child.send_signal(signal.SIGKILL)
            child.wait()
            child.stdin.close()
            child.stdout.close()
            totals = self.totals()
            # The change in flight may be there or not; nothing else may differ.
            self.assertIn(totals["counter0"] - answered["counter0"], (0, 1))
            answered["counter0"] = totals["counter0"]
            self.assertEqual(totals, answered)


class Header(Case):
    def build_and_run(self, section, lines, compiler):
        body = "\n".join("    " + line for line in lines)
        ending = "" if "return 0" in body else "\n    return 0;"
        source = self.folder / "example.c"
        source.write_text("#include <pyralog.h>\n#include <stdio.h>\n\nint main(void)\n{\n"
                          f"{body}{ending}\n}}\n")
        program = self.folder / "example"
        self.run_program([*compiler, f"-I{ROOT / 'include'}", source, "-o", program,
                          f"-L{LIBRARY}", "-lpyralog", f"-Wl,-rpath,{LIBRARY}"])
        return self.run_program([program], cwd=self.folder)

    def test_every_section_has_an_example_that_runs(self):
        """header: the example of each section compiles as C99 and as C++, and runs"""
        expected = {"Errors": "PYR_ERR_", "Version": "0.", "Embedded log": "on stable storage: 1\n"}
        examples = section_examples()
        self.assertEqual(sorted(examples), sorted(expected))
        for section, lines in examples.items():
            self.assertTrue(lines, f"section {section} has no example")
            self.assertLessEqual(len(lines), 20, section)
            for compiler in (C99, CXX):
                self.assertIn(expected[section], self.build_and_run(section, lines, compiler))
