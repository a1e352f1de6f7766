#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""record/judge_batch - a second decoder of record batches, slow and simple, written from the format's page alone.

    judge_batch.py dump FILE...          print what is in files of batches
    judge_batch.py check JUDGE_MAKE TESTDATA CORPUS
                                         TAP: decode what judge_make wrote, the known batches, and the fuzz corpus

It shares no line with the C code: it is the outside judge of docs/formats/batch.md. Standard library only; zstd is not
in it, and such batches are told by their header alone.
"""
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile
import zlib

CODECS = {0: "none", 1: "gzip", 2: "snappy", 3: "lz4", 4: "zstd"}


def crc32c(data):
    """Return the CRC32C of data, a bit at a time over a table made here."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc = (crc >> 8) ^ CRC_TABLE[(crc ^ byte) & 0xFF]
    return crc ^ 0xFFFFFFFF


def crc_entry(value):
    for _ in range(8):
        value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    return value


CRC_TABLE = [crc_entry(value) for value in range(256)]


class Reader:
    """Bytes read from front to back; reading past the end raises."""

    def __init__(self, data):
        self.data = data
        self.position = 0

    def take(self, count):
        if count < 0 or self.position + count > len(self.data):
            raise ValueError(f"{count} bytes wanted at {self.position} of {len(self.data)}")
        self.position += count
        return self.data[self.position - count:self.position]

    def number(self, count, signed=True, order="big"):
        return int.from_bytes(self.take(count), order, signed=signed)

    def varint(self):
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return (value >> 1) ^ -(value & 1)

    def field(self):
        count = self.varint()
        return None if count == -1 else self.take(count)

    def left(self):
        return len(self.data) - self.position


def lz4_block(data, out):
    """Unpack one LZ4 block behind what out holds."""
    reader = Reader(data)
    while reader.left():
        token = reader.take(1)[0]
        literals = token >> 4
        if literals == 15:
            while (more := reader.take(1)[0]) == 255:
                literals += 255
            literals += more
        out += reader.take(literals)
        if not reader.left():
            return
        distance = reader.number(2, False, "little")
        match = token & 15
        if match == 15:
            while (more := reader.take(1)[0]) == 255:
                match += 255
            match += more
        if not 0 < distance <= len(out):
            raise ValueError("match before the beginning")
        for _ in range(match + 4):
            out.append(out[-distance])


def lz4(data):
    reader = Reader(data)
    if reader.number(4, False, "little") != 0x184D2204:
        raise ValueError("no lz4 frame")
    flags, descriptor = reader.take(2)
    if flags & 0xC3 != 0x40 or descriptor & 0x8F:
        raise ValueError("lz4 frame of an unknown kind")
    declared = reader.number(8, False, "little") if flags & 0x08 else None
    reader.take(1)
    out = bytearray()
    while (prefix := reader.number(4, False, "little")) != 0:
        block = reader.take(prefix & 0x7FFFFFFF)
        if prefix >> 31:
            out += block
        elif flags & 0x20:  # An independent block begins anew.
            own = bytearray()
            lz4_block(block, own)
            out += own
        else:
            lz4_block(block, out)
        if flags & 0x10:
            reader.take(4)
    if flags & 0x04:
        reader.take(4)
    if reader.left() or declared not in (None, len(out)):
        raise ValueError("lz4 frame with bytes left over, or of another size than declared")
    return bytes(out)


def snappy_block(data):
    reader = Reader(data)
    declared = shift = 0
    while (byte := reader.take(1)[0]) >= 0x80:
        declared |= (byte & 0x7F) << shift
        shift += 7
    declared |= byte << shift
    out = bytearray()
    while reader.left():
        tag = reader.take(1)[0]
        kind, top = tag & 3, tag >> 2
        if kind == 0:
            if top >= 60:
                top = reader.number(top - 59, False, "little")
            out += reader.take(top + 1)
            continue
        if kind == 1:
            count, distance = (top & 7) + 4, (tag >> 5) << 8 | reader.take(1)[0]
        else:
            count, distance = top + 1, reader.number(2 if kind == 2 else 4, False, "little")
        if not 0 < distance <= len(out):
            raise ValueError("copy before the beginning")
        for _ in range(count):
            out.append(out[-distance])
    if len(out) != declared:
        raise ValueError("snappy block of another size than declared")
    return bytes(out)


def snappy(data):
    if not data.startswith(b"\x82SNAPPY\0"):
        return snappy_block(data)
    reader = Reader(data)
    reader.take(16)
    out = b""
    while reader.left():
        out += snappy_block(reader.take(reader.number(4)))
    return out


def gzip(data):
    decoder = zlib.decompressobj(31)
    out = decoder.decompress(data)
    if not decoder.eof or decoder.unused_data:
        raise ValueError("gzip member cut, or bytes left over")
    return out


def text(field):
    return "null" if field is None else f"'{field.hex()}'"


def records(reader, base_offset, base_timestamp, count, append_time):
    """Return the lines of all records, which must fill the reader."""
    lines = []
    for _ in range(count):
        record = Reader(reader.take(reader.varint()))
        record.take(1)
        timestamp = base_timestamp + record.varint()
        timestamp = (timestamp + 2**63) % 2**64 - 2**63  # The sum wraps.
        offset = base_offset + record.varint()
        parts = [text(record.field()), text(record.field())]
        for _ in range(record.varint()):
            key = record.field()
            parts.append(f"{text(key)}={text(record.field())}")
        if record.left():
            raise ValueError("bytes left over in a record")
        timestamp = timestamp if append_time is None else append_time
        lines.append(f"record {offset} {timestamp} {' '.join(parts)}")
    if reader.left():
        raise ValueError("bytes left over behind the records")
    return lines


def batch(reader):
    """Take one batch off the reader and return its lines."""
    base_offset = reader.number(8)
    body = Reader(reader.take(reader.number(4)))
    epoch = body.number(4)
    if body.number(1) != 2:
        raise ValueError("magic is not 2")
    crc = body.number(4, False)
    if crc != crc32c(body.data[body.position:]):
        raise ValueError("crc does not match")
    attributes = body.number(2, False)
    body.take(4)
    base_timestamp, max_timestamp = body.number(8), body.number(8)
    producer, producer_epoch, sequence = body.number(8), body.number(2), body.number(4)
    count = body.number(4)
    flags = ["transactional" if attributes & 0x10 else "plain"] + (["control"] if attributes & 0x20 else [])
    head = f"batch {base_offset} epoch {epoch} producer {producer} {producer_epoch} {sequence} {' '.join(flags)}"
    packed = body.take(body.left())
    codec = CODECS[attributes & 7]
    if codec == "zstd":
        return [head]
    unpacked = {"none": bytes, "gzip": gzip, "snappy": snappy, "lz4": lz4}[codec](packed)
    append_time = max_timestamp if attributes & 0x08 else None
    return [head] + records(Reader(unpacked), base_offset, base_timestamp, count, append_time)


def dump(path):
    reader = Reader(path.read_bytes())
    lines = []
    while reader.left():
        lines += batch(reader)
    return lines


def check(number, name, is_good, why=""):
    print(f"{'ok' if is_good else 'not ok'} {number} - {name}")
    if not is_good:
        print(f"# {why}")
    return is_good


def first_difference(left, right):
    for line, (ours, theirs) in enumerate(zip(left, right)):
        if ours != theirs:
            return f"line {line}: put in {ours[:200]}, decoded {theirs[:200]}"
    return f"{len(left)} lines put in, {len(right)} decoded"


def main_check(judge_make, testdata, corpus):
    print("1..4")
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "batches"
        # In a build for a foreign machine the suite names what runs its programs.
        emulator = shlex.split(os.environ.get("PYRALOG_EMULATOR", ""))
        made = subprocess.run([*emulator, judge_make], env={**os.environ, "JUDGE_FILE": str(path)}, stdout=subprocess.DEVNULL)
        is_made = check(1, "batches are made", made.returncode == 0, f"judge_make ended with {made.returncode}")
        put_in = pathlib.Path(f"{path}.txt").read_text().splitlines()
        decoded = dump(path)
    is_good = is_made & check(2, "what our builder and packer made is decoded",
                              put_in == decoded and len(put_in) > 1000, first_difference(put_in, decoded))
    known = []
    for line in (testdata / "golden.hex").read_text().splitlines():
        if line and not line.startswith("#"):
            known += batch(Reader(bytes.fromhex(line)))
    expected = (testdata / "golden.txt").read_text().splitlines()
    is_good &= check(3, "the known batches are decoded", known == expected, first_difference(expected, known))
    plain = dump(corpus / "plain")
    differing = [path.name for path in sorted(corpus.iterdir())
                 if not path.name.startswith(("golden", "zstd")) and dump(path) != plain]
    is_good &= check(4, "each packed form in the corpus holds the plain one's records", not differing and len(plain) > 5,
                     str(differing))
    return 0 if is_good else 1


def main(arguments):
    if len(arguments) == 4 and arguments[0] == "check":
        return main_check(arguments[1], pathlib.Path(arguments[2]), pathlib.Path(arguments[3]))
    if len(arguments) >= 2 and arguments[0] == "dump":
        for name in arguments[1:]:
            print("\n".join(dump(pathlib.Path(name))))
        return 0
    print(__doc__, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
