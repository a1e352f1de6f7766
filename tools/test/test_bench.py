# SPDX-License-Identifier: Apache-2.0
"""The arithmetic of bench/run: a promise must not be met by a mistake in a ratio."""
import importlib.machinery
import importlib.util
import re
import subprocess
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
LOADER = importlib.machinery.SourceFileLoader("bench_run", str(ROOT / "bench" / "run"))
SPEC = importlib.util.spec_from_loader("bench_run", LOADER)
bench = importlib.util.module_from_spec(SPEC)
LOADER.exec_module(bench)

# A figure of a promise: a rate, a time or a share of something.
FIGURE = re.compile(r"\d (us|ms|s)\b|\d[^|]*/s\b|\dx of")
ENTRY = {"row": "N2", "case": "c", "program": "p", "aim": "<=1.25"}


def figure(value, unit="records/s", **more):
    return {"case": "c", "value": value, "unit": unit, "sync": "always", **more}


class TestBench(unittest.TestCase):
    def test_median(self):
        """the value is the median, with the least and the most beside it"""
        line = bench.median_line(ENTRY, [(figure(value), None) for value in (9, 1, 5, 2, 7)])
        self.assertEqual((line["value"], line["min"], line["max"], line["runs"]), (5, 1, 9, 5))

    def test_table(self):
        """a kept run is shown row by row, with what was missed in bold"""
        line = bench.median_line({**ENTRY, "aim": "value>=2000000"},
                                 [(figure(1234567, p50=0.123, against="raw", against_value=2e6),
                                   None)])
        row = bench.table([line])[2]
        self.assertEqual(row, "| N2 | c | 1,230,000 records/s | 0.62x raw, 2,000,000 records/s | 0.123 |  "
                         "| value>=2000000 | **missed** |")
        self.assertEqual(bench.figure_text(1234567890, "bytes/s"), "1.23 GB/s")
        slow = bench.median_line(ENTRY, [(figure(1, against="raw", against_value=9), None)])
        self.assertIn(r"| \<=1.25 | **missed** |", bench.table([slow])[2])

    def test_slower(self):
        """an upper bound is about how many times slower we are, whatever the unit"""
        rate = bench.median_line(ENTRY, [(figure(80, against="raw", against_value=100), None)])
        late = figure(125, "us", against="raw", against_value=100)
        time = bench.median_line(ENTRY, [(late, None)])
        self.assertEqual((rate["ratio"], rate["met"], rate["against"]), (1.25, True, "raw"))
        self.assertEqual((time["ratio"], time["met"]), (1.25, True))
        worse = bench.median_line(ENTRY, [(figure(79, against="raw", against_value=100), None)])
        self.assertFalse(worse["met"])

    def test_faster(self):
        """a lower bound is about how many times faster we are"""
        entry = {**ENTRY, "aim": "value>120000 and ratio>=2", "against": "RocksDB"}
        line = bench.median_line(entry, [(figure(130000), figure(60000))])
        self.assertEqual((line["ratio"], line["met"], line["against"]), (2.167, True, "RocksDB"))
        self.assertFalse(bench.median_line(entry, [(figure(130000), figure(66000))])["met"])
        self.assertFalse(bench.median_line(entry, [(figure(119000), figure(1))])["met"])

    def test_ratio_of_runs(self):
        """the ratio is the median of the runs' ratios, since a run's two halves share its mood"""
        runs = [(figure(7), figure(1)), (figure(10), figure(5)), (figure(100), figure(50))]
        line = bench.median_line({**ENTRY, "aim": "ratio>=2"}, runs)
        self.assertEqual((line["ratio"], line["against_value"]), (2.0, 5))

    def test_nothing_to_judge(self):
        """without the peer that the aim is about, the aim is neither met nor missed"""
        line = bench.median_line({**ENTRY, "aim": "value>1 and ratio>=2"}, [(figure(5), None)])
        self.assertIsNone(line["met"])
        self.assertIsNone(bench.median_line({**ENTRY, "aim": ""}, [(figure(5), None)])["met"])

    def test_latency(self):
        """an aim can be about latencies, in microseconds"""
        entry = {**ENTRY, "aim": "p50<1 and p99<10"}
        good = bench.median_line(entry, [(figure(1, p50=0.9, p99=9.9), None)])
        bad = bench.median_line(entry, [(figure(1, p50=0.9, p99=10), None)])
        self.assertEqual((good["met"], bad["met"]), (True, False))

    def test_bad_aim(self):
        """an aim that cannot be read is an error, not an aim that is met"""
        for aim in ("fast", "<=1.25x", "value>1 or ratio>2", "p98<1"):
            with self.assertRaises(bench.Failure):
                bench.is_met(aim, {"value": 1})

    def test_figure_missing(self):
        """a program that prints another figure is an error"""
        with self.assertRaises(bench.Failure):
            bench.pick_figure([figure(1)], "another")

    def test_rows(self):
        """every entry can be read: its aim, its program's source, and its case in that source"""
        for entry in bench.ROWS:
            bench.read_aim(entry["aim"])
            source = (ROOT / "bench" / f"{entry['program']}.c").read_text(encoding="utf-8")
            case = entry.get("program_case", entry["case"])
            self.assertIn(f'"{case}"', source)
            figure_name = entry.get("figure", case)
            self.assertIn(f'"{figure_name}"', source)
            if entry.get("peer"):
                program, case = entry["peer"]
                source = (ROOT / "bench" / f"{program}.c").read_text(encoding="utf-8")
                self.assertIn(f'"{case}"', source)

    def test_promises(self):
        """every promise that has a figure is measured, and no aim has a number of its own"""
        promises = {}
        for text in (ROOT / "docs" / "promises.md").read_text(encoding="utf-8").splitlines():
            cells = [cell.strip() for cell in text.strip("|").split("|")]
            if re.fullmatch(r"[A-Z]\d+", cells[0]):
                promises[cells[0]] = cells[2] if cells[3] != "planned" else ""
        measured = {entry["row"] for entry in bench.ROWS}
        self.assertEqual(measured - set(promises), {"core", "machine", "peers", "scrub"})
        wanted = {row for row, text in promises.items() if FIGURE.search(text)}
        self.assertEqual(wanted - measured, set())
        for entry in bench.ROWS:
            for name, _, number in bench.read_aim(entry["aim"]):
                if name != "ratio":
                    forms = (f"{number:,.0f}", f"{number:g}", f"{number / 1e9:g} GB/s")
                    self.assertTrue(any(form in promises[entry["row"]] for form in forms), entry)

    def test_group(self):
        """figures of one case are measured by one series of runs"""
        rows = [{**ENTRY, "figure": "a"}, {**ENTRY, "figure": "b"}, {**ENTRY, "peer": ("q", "c")}]
        self.assertEqual([len(group) for group in bench.group_entries(rows)], [2, 1])

    def test_usage(self):
        """a row that does not exist is a usage error that names those that do"""
        words = [str(ROOT / "bench" / "run"), "--row=Z9"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 2)
        self.assertIn("'Z9' is none of", done.stderr)
        self.assertEqual(done.stdout, "")
