# SPDX-License-Identifier: Apache-2.0
"""bench/rows - the figures that bench/run knows: which program measures which promise.

A row is one promise of docs/promises.md; an entry is one figure of it. Fields of an entry:

    row       the promise, or "machine" and "peers" for what the others are read against
    case      the figure's name, as printed
    program   bench/<program>.c; its case has the same name, unless program_case says another
    figure    the line to take when the case prints several; the case's name if left out
    peer      (program, case) run in turns with it; its value becomes the one to compare with
    against   what to call that; the program itself may also name something it measured in turns
    aim       the promise's words as conditions; empty where there is only something to know

An aim is conditions joined by " and ": a name (value, ratio, p50, p99, p999, worst), a comparison
and a number. Without a name it is about the ratio where there is one, and else about the value.
Latencies are in microseconds.
"""


def entry(row, case, program, aim="", **more):
    return {"row": row, "case": case, "program": program, "aim": aim, **more}


DEVICE_CASE = "durable 4 KiB, 1 outstanding"

ROWS = [
    entry("machine", DEVICE_CASE, "bench_device"),
    entry("machine", "durable 64 KiB, 1 outstanding", "bench_device"),
    entry("machine", "durable 256 KiB, 1 outstanding", "bench_device"),
    entry("machine", "durable 1 MiB, 1 outstanding", "bench_device"),
    entry("machine", "durable 4 KiB, 2 outstanding", "bench_device"),
    entry("machine", "durable 64 KiB, 2 outstanding", "bench_device"),
    entry("machine", "durable 256 KiB, 2 outstanding", "bench_device"),
    entry("machine", "durable 1 MiB, 2 outstanding", "bench_device"),
    entry("machine", "copy, 64 KiB", "bench_memory"),
    entry("machine", "copy, 1 MiB", "bench_memory"),
    entry("machine", "copy, 256 MiB", "bench_memory"),
    entry("machine", "CRC32C, 100 B", "bench_memory"),
    entry("machine", "CRC32C, 64 KiB", "bench_memory"),
    entry("machine", "CRC32C, 1 MiB", "bench_memory"),
    entry("machine", "page cache, overwrite by 1 MiB", "bench_memory"),
    entry("machine", "page cache, read by 1 MiB", "bench_memory"),
    entry("machine", "memory-copy budget of a 1 MiB batch", "bench_memory"),
    entry("peers", "RocksDB, always, 1 thread, 100 B", "peer_rocksdb",
          program_case="always, 1 thread, 100 B"),
    entry("peers", "RocksDB, always, 64 threads, 100 B", "peer_rocksdb",
          program_case="always, 64 threads, 100 B"),
    entry("peers", "RocksDB, always, batches of 1000, 100 B", "peer_rocksdb",
          program_case="always, batches of 1000, 100 B"),
]
