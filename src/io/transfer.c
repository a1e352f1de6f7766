/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io/transfer - resuming short transfers.
 */
#include "io/transfer.h"

#include <errno.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/mutant.h"
#include "io/ops.h"

enum {
    TRIES_STUCK_MAX = 4, /* Pieces in a row that may gain no whole block. */
};

/* Return from where a transfer that reached `count_done` goes on: the last block boundary of the
 * file, but never before its own start. */
static size_t resume_at(int64_t position, size_t count_done)
{
    uint64_t reached = (uint64_t)position + count_done;
    uint64_t boundary = align_down(reached, BLOCK_BYTES);

    return boundary <= (uint64_t)position ? 0 : (size_t)(boundary - (uint64_t)position);
}

static void submit_rest(struct io_transfer *transfer, size_t from)
{
    ASSERT(from < transfer->count);

    transfer->op.data = transfer->data + from;
    transfer->op.count = transfer->count - from;
    transfer->op.position = transfer->position + (int64_t)from;
    io_submit(transfer->loop, &transfer->op);
}

static void finish(struct io_transfer *transfer, int error)
{
    ASSERT(transfer->count_done <= transfer->count);
    if (error == 0 && transfer->kind == IO_OP_WRITE) {
        ASSERT(transfer->count_done == transfer->count); /* IO-10 */
    }

    transfer->error = error;
    transfer->complete(transfer);
}

/* What to do after a piece. */
enum next_step {
    STEP_DONE,
    STEP_AGAIN, /* From resume_at(). */
};

/* Decide what follows a piece of a transfer of `kind` that began at `from` and reached `reached` of
 * `count` bytes. Counts pieces without gain in *tries_stuck. Return 0, or the errno value with
 * which the transfer ends. */
static int step_after(const struct io_transfer *transfer,
                      size_t from,
                      size_t reached,
                      uint32_t *tries_stuck,
                      enum next_step *ret_step)
{
    ASSERT(reached <= transfer->count);

    if (reached == transfer->count) {
        *ret_step = STEP_DONE;
        return 0;
    }
    if (transfer->kind == IO_OP_READ) {
        int64_t bytes = 0;
        int error = io_bytes(transfer->file->io, transfer->file, &bytes);
        if (error != 0) {
            return error;
        }
        if (transfer->position + (int64_t)reached >= bytes) {
            *ret_step = STEP_DONE;
            return 0;
        }
    }
    bool is_stuck = resume_at(transfer->position, reached) <= from;
    *tries_stuck = is_stuck ? *tries_stuck + 1 : 0;
    if (*tries_stuck >= TRIES_STUCK_MAX) {
        return EIO;
    }
    *ret_step = STEP_AGAIN;
    return 0;
}

static void piece_complete(struct io_op *op)
{
    struct io_transfer *transfer = op->ctx;
    ASSERT(op->position >= transfer->position);
    size_t from = (size_t)(op->position - transfer->position);

    if (op->error != 0) {
        finish(transfer, op->error);
        return;
    }
    size_t reached = from + op->count_done;
    if (MUTANT(short_write_as_whole) && transfer->kind == IO_OP_WRITE) {
        reached = transfer->count;
    }
    transfer->count_done = reached > transfer->count_done ? reached : transfer->count_done;
    enum next_step step = STEP_DONE;
    int error = step_after(transfer, from, reached, &transfer->tries_stuck, &step);
    if (error != 0 || step == STEP_DONE) {
        finish(transfer, error);
        return;
    }
    submit_rest(transfer, resume_at(transfer->position, reached));
}

void io_transfer_start(struct io_loop *loop, struct io_transfer *transfer)
{
    ASSERT(loop);
    ASSERT(transfer->complete);
    ASSERT(transfer->kind != IO_OP_SYNC);

    transfer->loop = loop;
    transfer->error = 0;
    transfer->count_done = 0;
    transfer->tries_stuck = 0;
    transfer->op = (struct io_op){.kind = transfer->kind,
                                  .is_durable = transfer->is_durable,
                                  .file = transfer->file,
                                  .complete = piece_complete,
                                  .ctx = transfer};
    submit_rest(transfer, 0);
}

/* Carry out `transfer` with blocking calls. Return 0 or an errno value. */
static int transfer_blocking(struct io *io, struct io_transfer *transfer)
{
    size_t from = 0;
    enum next_step step = transfer->count > 0 ? STEP_AGAIN : STEP_DONE;

    while (step == STEP_AGAIN) {
        size_t count = 0;
        uint8_t *data = transfer->data + from;
        size_t wanted = transfer->count - from;
        int64_t position = transfer->position + (int64_t)from;
        int error =
            transfer->kind == IO_OP_READ
                ? io_read_at(io, transfer->file, (struct bytes_mut){data, wanted}, position, &count)
                : io_write_at(io, transfer->file, (struct bytes){data, wanted}, position,
                              transfer->is_durable, &count);
        if (error != 0) {
            return error;
        }
        size_t reached = from + count;
        if (MUTANT(short_write_as_whole) && transfer->kind == IO_OP_WRITE) {
            reached = transfer->count;
        }
        if (reached > transfer->count_done) {
            transfer->count_done = reached;
        }
        error = step_after(transfer, from, reached, &transfer->tries_stuck, &step);
        if (error != 0) {
            return error;
        }
        from = resume_at(transfer->position, reached);
    }
    return 0;
}

int io_read_whole(struct io *io,
                  struct io_file *file,
                  struct bytes_mut span,
                  int64_t position,
                  size_t *ret_count)
{
    ASSERT(ret_count);

    struct io_transfer transfer = {.kind = IO_OP_READ,
                                   .file = file,
                                   .data = span.data,
                                   .count = span.count,
                                   .position = position};
    int error = transfer_blocking(io, &transfer);
    if (error == 0) {
        *ret_count = transfer.count_done;
    }
    return error;
}

int io_write_whole(struct io *io,
                   struct io_file *file,
                   struct bytes span,
                   int64_t position,
                   bool is_durable)
{
    struct io_transfer transfer = {.kind = IO_OP_WRITE,
                                   .is_durable = is_durable,
                                   .file = file,
                                   .data = bytes_unconst(span.data), /* Only read. */
                                   .count = span.count,
                                   .position = position};
    int error = transfer_blocking(io, &transfer);
    if (error == 0) {
        ASSERT(transfer.count_done == span.count); /* IO-10 */
    }
    return error;
}
