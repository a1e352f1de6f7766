# SPDX-License-Identifier: Apache-2.0
"""bench/rows - the figures that bench/run knows: which program measures which promise.

A row is one promise of docs/promises.md; an entry is one figure of it. Fields of an entry:

    row       the promise, or "machine" and "peers" for what the others are read against, or "scrub"
              and "core" (the decisions of replication) for what they cost
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

ROCKSDB_1 = ("peer_rocksdb", "always, 1 thread, 100 B")
ROCKSDB_64 = ("peer_rocksdb", "always, 64 threads, 100 B")
ROCKSDB_BATCHES = ("peer_rocksdb", "always, batches of 1000, 100 B")

# What each option does (docs/tuning.md): "<option> = <value>: <what is measured>".
KEYS = [
    "backend = posix: append",
    "backend = posix: append by 64 threads",
    "cache_enabled = false: append",
    "cache_enabled = false: append, os",
    "cache_max_size = 4 MiB: memory after 64 MiB",
    "cache_max_size = 4 MiB: burst of 256 MiB, os",
    "max_buffer_time_ms = 10: writes to segments, 1000 appends/s",
    "max_buffer_time_ms = 10: append",
    "wal_file_bytes = 4 MiB: journal on the disk after 64 MiB",
    "wal_file_bytes = 4 MiB: open an empty store",
    "wal_file_bytes = 4 MiB: open after a kill, 256 MiB appended",
    "wal_files_max = 2: burst of 256 MiB, files of 8 MiB",
    "wal_files_max = 2: open after a kill, files of 8 MiB",
    "scrub_bytes_per_s = 32 MiB: read by the scrub",
    "scrub_bytes_per_s = 0: read by the scrub",
    "scrub_interval_ms = 0: passes over a small log in a second",
    "shards = 4: append by 64 threads, one log",
    "shards = 4: journals on the disk after 64 MiB",
    "sync = batch: append",
    "sync = os: append",
    "sync_interval_ms = 50: at risk, 1000 appends/s",
    "hand_over_at_once = true: append, os",
    "sync_on_write = true: append, cache off",
    "use_mmap = true: random read of a record",
    "use_mmap = true: read of all records",
    "use_mmap = true: read of whole batches",
    "is_compacted = true: left of 64 MiB of 1000 keys after 2 s",
    "compression = lz4: segments of 64 MiB of text",
    "compression = lz4: append of text, os",
    "compression = lz4: read of all records of text",
    "segment_max_size = 4 MiB: files of 64 MiB",
    "segment_max_age_ms = 100: files after 2 s of appends",
    "retention_ms = 100: left of 64 MiB after 2 s, segments of 4 MiB",
    "retention_bytes = 16 MiB: left of 64 MiB after 2 s, segments of 4 MiB",
]

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
    entry("machine", "XXH3, 64 KiB", "bench_memory"),
    entry("machine", "page cache, overwrite by 1 MiB", "bench_memory"),
    entry("machine", "page cache, read by 1 MiB", "bench_memory"),
    entry("machine", "memory-copy budget of a 1 MiB batch", "bench_memory"),
    entry("peers", "RocksDB, always, 1 thread, 100 B", "peer_rocksdb",
          program_case="always, 1 thread, 100 B"),
    entry("peers", "RocksDB, always, 64 threads, 100 B", "peer_rocksdb",
          program_case="always, 64 threads, 100 B"),
    entry("peers", "RocksDB, always, batches of 1000, 100 B", "peer_rocksdb",
          program_case="always, batches of 1000, 100 B"),
    entry("N2", "always, 1 appender, 100 B", "bench_append", "<=1.25"),
    entry("N2", "always, 1 appender, 100 B, beside RocksDB", "bench_append", "ratio>1",
          program_case="always, 1 appender, 100 B, alone", peer=ROCKSDB_1, against="RocksDB"),
    entry("N2", "always, 64 blocking appenders, 100 B", "bench_append",
          "value>120000 and ratio>=2", peer=ROCKSDB_64, against="RocksDB"),
    entry("N2", "always, 64 appends outstanding, 100 B", "bench_append", "value>300000"),
    entry("N2", "always, batches of 1000, 100 B", "bench_append", "value>4000000",
          peer=ROCKSDB_BATCHES, against="RocksDB"),
    entry("N2", "always, batches of 1000, 8 outstanding, 100 B", "bench_append"),
    entry("N2", "always, batches of 1 MiB", "bench_large", "ratio>=0.6"),
    entry("N2", "always, batches of 1 MiB, 2 outstanding", "bench_large"),
    entry("N2", "always, bursts of 32 batches of 1 MiB", "bench_large", "ratio>=0.6"),
    entry("N2", "batch 5 ms, 1 appender, 100 B", "bench_append", "value>1000000"),
    entry("N2", "os, gathered, 1 appender, 100 B", "bench_append", "value>2000000"),
    entry("N2", "os, handed over at once, 1 appender, 100 B", "bench_append", "value>800000"),
    entry("N3", "latency, os, gathered, 100 B", "bench_append", "p50<1 and p99<10",
          program_case="os, gathered, 1 appender, 100 B"),
    entry("N3", "latency, os, handed over at once, 100 B", "bench_append", "p50<2",
          program_case="os, handed over at once, 1 appender, 100 B"),
    entry("N4", "sequential read, records of 100 B", "bench_read", "value>10000000"),
    entry("N4", "sequential read, whole batches", "bench_read", "value>2000000000"),
    entry("N4", "random read, 100 B", "bench_read"),
    entry("N4", "random read, 100 B, mapped", "bench_read"),
    entry("N4", "random read, batches of one, 100 B", "bench_read"),
    entry("N4", "random read, batches of one, 100 B, mapped", "bench_read"),
    entry("N4", "tail, record by record, 100 B", "bench_read"),
    entry("N5", "recovery after a kill, from memory", "bench_recovery", "value>3.3"),
    entry("N5", "recovery after a kill, from the device", "bench_recovery", "value<1"),
    entry("N5", "1000 logs after a kill, from memory", "bench_recovery"),
    entry("N5", "1000 logs after a kill, from the device", "bench_recovery"),
    entry("N6", "always, worst append with rotation above without", "bench_rotation",
          "value<=0.2"),
    entry("N6", "always, p99.9 with rotation", "bench_rotation", "value<0.5",
          program_case="always, worst append with rotation above without",
          figure="always, p99.9 with rotation"),
    entry("N6", "os, worst append with rotation above without", "bench_rotation", "value<=0.2"),
    entry("N6", "os, p99.9 with rotation", "bench_rotation", "value<0.5",
          program_case="os, worst append with rotation above without",
          figure="os, p99.9 with rotation"),
    entry("scrub", "always, median append under a scrub of 4 MiB/s", "bench_scrub"),
    entry("scrub", "always, p99.9 under a scrub of 4 MiB/s", "bench_scrub",
          program_case="always, median append under a scrub of 4 MiB/s",
          figure="always, p99.9 under a scrub of 4 MiB/s"),
    entry("scrub", "always, median append under a scrub of 32 MiB/s", "bench_scrub"),
    entry("scrub", "always, p99.9 under a scrub of 32 MiB/s", "bench_scrub",
          program_case="always, median append under a scrub of 32 MiB/s",
          figure="always, p99.9 under a scrub of 32 MiB/s"),
    entry("core", "append to commit, 3 replicas, no I/O", "bench_replica"),
    entry("P12", "always, 1000 partitions, 64 appenders, 100 B", "bench_partitions", "<=1.2"),
    entry("P12", "always, 1000 partitions, 40000 records/s, p50", "bench_partitions", "<=1.2"),
]
ROWS += [entry("P7", case, "bench_keys") for case in KEYS]
