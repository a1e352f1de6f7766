#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Read a partition's folder by Kafka's description of its files alone, and check them against each other.

Usage: read_segment.py FOLDER. Knows nothing of Pyralog: .log, .index, .timeindex and leader-epoch-checkpoint
are Kafka's formats. Prints one line of totals; exits 1 with the first thing that does not fit.
"""
import os
import re
import struct
import sys

CRC_TABLE = []
for number in range(256):
    for _ in range(8):
        number = number >> 1 ^ (0x82F63B78 if number & 1 else 0)
    CRC_TABLE.append(number)


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc = CRC_TABLE[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def fail(text):
    print("FAIL", text)
    sys.exit(1)


def read(path):
    with open(path, "rb") as file:
        return file.read()


def batches_of(path):
    """Yield (position, first offset, last offset, epoch, max timestamp) of each batch."""
    data = read(path)
    position = 0
    while position < len(data):
        base, length, epoch, magic, crc = struct.unpack_from(">qiibI", data, position)
        if magic == 0 and base == 0 and length == 0:
            break  # Space reserved ahead.
        if magic != 2:
            fail(f"{path}: magic {magic} at {position}")
        end = position + 12 + length
        if crc32c(data[position + 21:end]) != crc:
            fail(f"{path}: checksum at {position}")
        _, delta, _, timestamp = struct.unpack_from(">hiqq", data, position + 21)
        yield position, base, base + delta, epoch, timestamp
        position = end


def check_index(path, base, batches):
    data = read(path)
    if len(data) % 8:
        fail(f"{path}: {len(data)} bytes")
    last = {position: end for position, _, end, _, _ in batches}
    before = (-1, -1)
    for relative, position in struct.iter_unpack(">ii", data):
        if last.get(position) != base + relative:
            fail(f"{path}: offset {base + relative} at {position}, there ends {last.get(position)}")
        if (relative, position) <= before:
            fail(f"{path}: entries do not ascend")
        before = (relative, position)
    return len(data) // 8


def check_times(path, base, batches):
    data = read(path)
    if len(data) % 12:
        fail(f"{path}: {len(data)} bytes")
    before = -1
    for timestamp, relative in struct.iter_unpack(">qi", data):
        largest = max((row[4] for row in batches if row[2] <= base + relative), default=None)
        if largest != timestamp or timestamp <= before:
            fail(f"{path}: timestamp {timestamp} at {base + relative}, largest there is {largest}")
        before = timestamp
    return len(data) // 12


def check_epochs(path, epochs):
    lines = read(path).decode().split("\n")
    rows = [tuple(map(int, line.split(" "))) for line in lines[2:-1]]
    if lines[0] != "0" or int(lines[1]) != len(rows) or lines[-1] != "":
        fail(f"{path}: malformed")
    if rows != epochs:
        fail(f"{path}: says {rows}, the batches say {epochs}")


def main():
    folder = sys.argv[1]
    names = sorted(name for name in os.listdir(folder) if re.fullmatch(r"\d{20}\.log", name))
    next_offset, epochs, total, entries = None, [], 0, 0
    for name in names:
        base = int(name[:20])
        stem = os.path.join(folder, name[:20])
        batches = list(batches_of(stem + ".log"))
        for _, first, last, epoch, _ in batches:
            if next_offset is not None and first != next_offset:
                fail(f"{name}: offset {first} follows {next_offset}")
            if not epochs or epochs[-1][0] != epoch:
                epochs.append((epoch, first))
            next_offset = last + 1
        if batches and batches[0][1] != base:
            fail(f"{name}: begins at {batches[0][1]}")
        entries += check_index(stem + ".index", base, batches)
        entries += check_times(stem + ".timeindex", base, batches)
        total += len(batches)
    check_epochs(os.path.join(folder, "leader-epoch-checkpoint"), epochs)
    print(f"ok {len(names)} segments, {total} batches, {entries} index entries, end {next_offset}")


main()
