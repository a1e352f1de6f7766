/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/load_acks - what was acknowledged, kept outside of the process that may be killed.
 *
 * The writer prints one line for each acknowledged append, after the acknowledgement and before it
 * goes on, with one write() to a pipe or a file, so that a killed process takes at most a line that
 * it had not begun with it:
 *
 *     pyralog-load acks 1
 *     <run> <stream> <sequence of the first record> <records> <offset of the first>
 *
 * All numbers decimal. A last line without its end is what a kill left, and does not count. Lines
 * of one stream follow each other without a gap; a line that does not is refused, since then the
 * file is not what it claims to be.
 *
 * The book of a verification holds, per stream, the acknowledged ranges, and walks along them while
 * the records are read back:
 *
 *     record -> acks_check: next in sequence?  at the offset that was acknowledged?
 *     end    -> acks_missing: every stream has been seen as far as it was acknowledged?
 *
 * Invariants:
 *   ACK-1  A stream passes only if its records came one by one in sequence, each once, each
 *          acknowledged one at its acknowledged offset, and the last acknowledged one came.
 *
 * Threads: one owner.   Memory: the heap; ranges that follow each other are one.
 */
#ifndef CLI_LOAD_ACKS_H
#define CLI_LOAD_ACKS_H

#include "base/bytes.h"
#include "base/err.h"
#include "cli/load_record.h"

/* The longest line, with its end. */
#define ACKS_LINE_BYTES_MAX 96

/* One acknowledged append. */
struct ack {
    uint32_t run;
    uint32_t stream;
    uint64_t sequence; /* Of its first record. */
    uint64_t count;
    int64_t offset; /* Of its first record; -1 if only the count is known. */
};

/* Records of a stream that were acknowledged at offsets that follow each other. */
struct ack_range {
    uint64_t sequence;
    uint64_t sequence_end;
    int64_t offset;
};

/* A stream: what was acknowledged, and what has been seen. */
struct ack_stream {
    uint32_t run;
    uint32_t stream;
    uint64_t acked_end; /* Records acknowledged. */
    uint64_t seen_end;  /* The next sequence expected. */
    bool is_seen;
    struct ack_range *ranges;
    size_t range_count;
    size_t range_room;
    size_t cursor; /* The range that holds seen_end, or the first behind it. */
};

/* All streams, in a hash table. Zeroed it is empty. */
struct acks {
    struct ack_stream *rows; /* rows[].ranges are owned. */
    size_t row_count;
    uint32_t *slots; /* Index into rows plus 1; 0 is free. */
    size_t slot_count;
    uint64_t acked; /* Records acknowledged, of all streams. */
    /* Reading lines that come in pieces. */
    char line[ACKS_LINE_BYTES_MAX];
    size_t line_bytes;
    uint64_t line_number;
};

/* What a record turned out to be. */
enum acks_verdict {
    ACKS_FINE,
    ACKS_GAP,       /* Records of the stream before it are missing. */
    ACKS_REPEATED,  /* It came before: a repetition, or the order is wrong. */
    ACKS_MISPLACED, /* It was acknowledged at another offset. */
};

/** Write the line of @ack to @line, which has ACKS_LINE_BYTES_MAX bytes; return its bytes. */
size_t acks_line(const struct ack *ack, char *line);

/** Return the text that begins a file of lines. */
const char *acks_title(void);

/** Free what @acks holds and make it empty. */
void acks_deinit(struct acks *acks);

/** Add @ack, which follows the stream's last one. PYR_ERR_CORRUPT if it does not,
 * PYR_ERR_NO_MEMORY. */
MUST_CHECK enum pyr_err acks_add(struct acks *acks,
                                 const struct ack *ack,
                                 struct pyr_error *reterr);

/** Add the lines in @data, which may begin and end within one. PYR_ERR_CORRUPT names the line. */
MUST_CHECK enum pyr_err acks_feed(struct acks *acks, struct bytes data, struct pyr_error *reterr);

/** Add the lines of the file at @path. */
MUST_CHECK enum pyr_err acks_read(struct acks *acks, const char *path, struct pyr_error *reterr);

/**
 * Note that @record was read at @offset of a log that begins at @offset_start, and judge it.
 *
 * A stream may begin late only in a log whose beginning was deleted. *@ret_lost is, for ACKS_GAP,
 * how many are missing, and for ACKS_MISPLACED the acknowledged offset.
 */
MUST_CHECK enum pyr_err acks_check(struct acks *acks,
                                   const struct load_record *record,
                                   int64_t offset,
                                   int64_t offset_start,
                                   enum acks_verdict *ret_verdict,
                                   int64_t *ret_detail);

/** Return the acknowledged records of @stream that lie at or past @offset_start and were not seen.
 */
uint64_t acks_missing(const struct ack_stream *stream, int64_t offset_start);

#endif /* CLI_LOAD_ACKS_H */
