/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/scrub - one step.
 *
 * The files are opened by name for each step and closed at its end: a scrub is slow, and must not
 * keep files that were removed, nor drive what readers use out of the cache of open files.
 */
#include "segment/scrub.h"

#include <inttypes.h>

#include "base/assert.h"
#include "segment/rebuild.h"
#include "segment/state.h"

enum pyr_err segment_scrub_init(struct segment_scrub *scrub, struct io *io, size_t stretch_bytes)
{
    ASSERT(stretch_bytes > 0);
    ASSERT(stretch_bytes % BLOCK_BYTES == 0);

    uint8_t *stretch = io_alloc(io, stretch_bytes, BLOCK_BYTES);
    uint8_t *room = io_alloc(io, stretch_bytes, 1);
    if (!stretch || !room) {
        io_free(io, stretch);
        io_free(io, room);
        return PYR_ERR_NO_MEMORY;
    }
    *scrub = (struct segment_scrub){
        .room = {room, stretch_bytes},
        .stage.buffer = {stretch, stretch_bytes},
    };
    return PYR_OK;
}

void segment_scrub_deinit(struct segment_scrub *scrub, struct io *io)
{
    ASSERT(!scrub->view.segment);
    ASSERT(!scrub->stage.file);

    io_free(io, scrub->room.data);
    io_free(io, scrub->stage.buffer.data);
    *scrub = (struct segment_scrub){0};
}

void segment_scrub_begin(struct segment_scrub *scrub, const struct segment_log *log, int64_t offset)
{
    ASSERT(!scrub->view.segment);
    ASSERT(scrub->room.data || scrub->room.count == 0);

    ASSERT(offset >= 0);
    scrub->offset = offset;
    scrub->offset_target = segment_log_synced(log).offset;
    scrub->cursor = (struct segment_cursor){0};
    scrub->stage.serial = 0; /* Serials are a log's own. */
}

bool segment_scrub_plan(struct segment_scrub *scrub, struct segment_log *log, uint64_t bytes_max)
{
    ASSERT(scrub->stage.buffer.data);
    ASSERT(!scrub->view.segment);
    ASSERT(bytes_max > 0);

    if (!segment_log_view_names(log, scrub->offset, scrub->offset_target, &scrub->view)) {
        return false;
    }
    int64_t segment_end = scrub->view.shape.end.offset;
    scrub->offset_end = segment_end < scrub->offset_target ? segment_end : scrub->offset_target;
    const struct segment *segment = scrub->view.segment;
    int64_t base = segment->shape.identity.offset_base;
    scrub->offset = scrub->offset > base ? scrub->offset : base;
    scrub->segment = base;
    scrub->bytes_max = bytes_max;
    scrub->checks_index =
        segment->state == SEGMENT_STATE_SEALED || segment->state == SEGMENT_STATE_CLEANED;
    scrub->bytes = 0;
    scrub->batches = 0;
    scrub->damage = -1;
    ASSERT(scrub->offset < scrub->offset_end);
    return true;
}

/* -- Run -- */

/* Make room for a batch of @bytes. */
static enum pyr_err room_grow(struct segment_scrub *scrub, size_t bytes, struct pyr_error *reterr)
{
    ASSERT(bytes > scrub->room.count);

    struct io *io = scrub->view.io;
    io_free(io, scrub->room.data);
    scrub->room = (struct bytes_mut){io_alloc(io, bytes, 1), bytes};
    if (!scrub->room.data) {
        scrub->room.count = 0;
        return err_set(reterr, PYR_ERR_NO_MEMORY, "no memory to scrub '%s'", scrub->view.folder);
    }
    return PYR_OK;
}

/* Read and check the next run, of at most @bytes_max but one batch at least. */
static enum pyr_err step_run(struct segment_scrub *scrub,
                             size_t bytes_max,
                             bool *ret_is_through,
                             struct pyr_error *reterr)
{
    ASSERT(scrub->offset < scrub->offset_end);
    ASSERT(bytes_max > 0);

    struct segment_run run = {0};
    struct segment_read want = {
        .offset = scrub->offset,
        .offset_end = scrub->offset_end,
        .bytes_max = bytes_max,
        .buffer = scrub->room,
        .cursor = &scrub->cursor,
    };
    enum pyr_err err = segment_view_read(&scrub->view, &want, &run, reterr);
    if (err == PYR_ERR_TOO_LARGE) {
        err = room_grow(scrub, run.bytes_needed, reterr);
        want.buffer = scrub->room;
        err = err == PYR_OK ? segment_view_read(&scrub->view, &want, &run, reterr) : err;
    }
    if (err != PYR_OK) {
        return err;
    }
    *ret_is_through = run.offset_next <= scrub->offset || run.offset_next >= scrub->offset_end;
    scrub->offset = *ret_is_through ? scrub->offset_end : run.offset_next;
    scrub->bytes += run.data.count;
    scrub->batches += run.batches;
    return PYR_OK;
}

/* Compare the index files of the closed segment that is through. */
static enum pyr_err step_index(struct segment_scrub *scrub, struct pyr_error *reterr)
{
    ASSERT(scrub->checks_index);
    ASSERT(scrub->offset == scrub->offset_end);

    const struct segment_shape *shape = &scrub->view.shape;
    uint32_t wrong = 0;
    enum pyr_err err =
        segment_rebuild_index(scrub->view.io, scrub->view.folder, shape, true, &wrong, reterr);
    if (err != PYR_OK) {
        return err;
    }
    scrub->bytes += (uint64_t)segment_point_position(shape->point_count) +
                    (uint64_t)shape->index_count * SEGMENT_INDEX_ENTRY_BYTES +
                    (uint64_t)shape->time_count * SEGMENT_TIME_ENTRY_BYTES;
    if (wrong > 0) {
        return err_set(reterr, PYR_ERR_CORRUPT,
                       "'%s/%020" PRId64 "': %" PRIu32 " of its index files are wrong; nothing is "
                       "read through them, and the next open makes them anew",
                       scrub->view.folder, shape->identity.offset_base, wrong);
    }
    return PYR_OK;
}

static enum pyr_err step(struct segment_scrub *scrub, struct pyr_error *reterr)
{
    ASSERT(scrub->view.segment);
    ASSERT(scrub->bytes == 0);

    enum pyr_err err = segment_view_open(&scrub->view, reterr);
    if (err == PYR_OK) {
        err = segment_stage_open(&scrub->stage, &scrub->view, reterr);
    }
    bool is_through = false;
    uint64_t bytes_max = scrub->stage.buffer.count;
    while (err == PYR_OK && !is_through && scrub->bytes < scrub->bytes_max) {
        uint64_t left = scrub->bytes_max - scrub->bytes;
        err = step_run(scrub, (size_t)(left < bytes_max ? left : bytes_max), &is_through, reterr);
        if (err == PYR_ERR_CORRUPT && bytes_max > 1) {
            /* Read anew, since memory errs as well as disks, and batch by batch, to say where. */
            bytes_max = 1;
            scrub->stage.count = 0;
            err = PYR_OK;
        }
    }
    if (err == PYR_OK && is_through && scrub->checks_index) {
        err = step_index(scrub, reterr);
    }
    return err;
}

void segment_scrub_run(struct segment_scrub *scrub)
{
    ASSERT(scrub->view.segment);
    ASSERT(!scrub->view.handle);

    scrub->err = step(scrub, &scrub->error);
    scrub->damage = scrub->offset;
    segment_stage_close(&scrub->stage, scrub->view.io);
    segment_handle_release(scrub->view.handle);
    scrub->view.handle = NULL;
    scrub->view.stage = NULL;
}

enum pyr_err segment_scrub_apply(struct segment_scrub *scrub,
                                 struct segment_log *log,
                                 struct pyr_error *reterr)
{
    ASSERT(scrub->view.segment);
    ASSERT(!scrub->view.handle);

    enum pyr_err err = scrub->err;
    bool is_stale = segment_view_is_stale(&scrub->view);
    int64_t segment_end = scrub->view.shape.end.offset;
    segment_log_view_release(log, &scrub->view);
    if (err == PYR_OK || err == PYR_ERR_NO_MEMORY) {
        return err;
    }
    scrub->offset = segment_end;
    if (is_stale) {
        return PYR_OK; /* Its files went while they were looked at. */
    }
    segment_give_error(reterr, &scrub->error);
    bool is_damage = err == PYR_ERR_CORRUPT || err == PYR_ERR_NOT_FOUND || err == PYR_ERR_FOREIGN;
    return is_damage ? PYR_ERR_CORRUPT : PYR_ERR_IO;
}
