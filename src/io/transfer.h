/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io/transfer - whole reads and writes out of operations that may be short.
 *
 * Part of the path:  wal, segment -> [io_transfer] -> io_submit -> ... -> complete, short or whole
 *
 * The kernel may move fewer bytes than asked. What is left is submitted again from the last block
 * boundary that was reached, since direct I/O takes nothing else, and only the end of the last
 * piece is reported. A durable transfer's pieces are each durable, so the whole is durable when it
 * is reported, and not before; there is no write-then-sync chain that a short write could break.
 *
 *      wanted    |----------------------------|
 *      piece 1   |-----------x                     short, in the middle of a block
 *      piece 2           |--------------------|    again from that block's start
 *
 * A write that gains no whole block is an error (EIO): repeating it for ever would hide a device
 * that takes no more. A read that gets nothing has met the end of the file.
 *
 * Invariants:
 *   IO-10  a transfer without an error has moved every byte; a read, every byte that the file has
 *
 * Threads: as io_submit; complete() runs inside io_loop_dispatch.
 */
#ifndef IO_TRANSFER_H
#define IO_TRANSFER_H

#include "io/io.h"

/* One whole read or write in flight. The submitter owns it and its memory until complete(). */
struct io_transfer {
    enum io_op_kind kind; /* IO_OP_READ or IO_OP_WRITE. */
    bool is_durable;      /* As in struct io_op. */
    struct io_file *file;
    uint8_t *data;
    size_t count;
    int64_t position;
    int error;         /* Result: 0 or an errno value. */
    size_t count_done; /* Result: below `count` only after an error, or for a read at the end. */
    void (*complete)(struct io_transfer *transfer);
    void *ctx;
    struct io_loop *loop; /* For the transfer, like the rest. */
    uint32_t tries_stuck; /* Pieces in a row that gained no block. */
    struct io_op op;
};

/** Start @transfer, whose request fields and complete are set, on @loop. */
void io_transfer_start(struct io_loop *loop, struct io_transfer *transfer);

/** Read into all of @span at @position, blocking. *@ret_count is short only at the file's end.
 * Return 0 or an errno value. */
MUST_CHECK int io_read_whole(struct io *io,
                             struct io_file *file,
                             struct bytes_mut span,
                             int64_t position,
                             size_t *ret_count);

/** Write all of @span at @position, blocking, durably if @is_durable. Return 0 or an errno value;
 * after an error nothing is known about the bytes. */
MUST_CHECK int io_write_whole(struct io *io,
                              struct io_file *file,
                              struct bytes span,
                              int64_t position,
                              bool is_durable);

#endif /* IO_TRANSFER_H */
