/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/member_fold - the fold of a member's log: read at the start, saved in the background.
 *
 *      open      snapshot, or none --> the log behind it: segments, cache --> known
 *      later     16 MiB of batches, all durable --> a copy as of the commit point --> job: the file
 *      a cut that is too deep, no memory --> nothing is known --> as at the open, in a step
 *
 * Reading blocks. That is how a start is; later it is rare: more batches would have to be cut than
 * undos are kept, or memory be short. What cannot be read is tried again, less and less often, and
 * judging says what is wrong; the log itself goes on.
 *
 * Why a job writes the file and nothing waits for it: it saves time and nothing else. What is ahead
 * of the log after a crash, since the log lost what was committed elsewhere and not yet on this
 * disk, is passed over (FOL-2); waiting until all is durable makes that rare.
 */
#include "io/transfer.h"
#include "partition/member_inner.h"
#include "partition/shard_inner.h"
#include "segment/read.h"
#include "segment/writer.h"

/* The writing of a snapshot. */
struct fold_save {
    struct io_job job;
    struct io *io;
    char folder[PATH_BYTES_MAX];
    uint8_t *data;
    size_t count;
    enum pyr_err err;
    bool is_done;
};

/* -- The snapshot -- */

/* Read the file at @path whole; NULL if that cannot be. Gives: io_free. */
static uint8_t *file_read(struct io *io, const char *path, size_t *ret_count)
{
    ASSERT(path);
    ASSERT(ret_count);

    struct io_file *file = NULL;
    int64_t bytes = 0;
    if (io_open(io, path, IO_OPEN_READ, &file) != 0) {
        return NULL;
    }
    int error = io_bytes(io, file, &bytes);
    bool is_ours = error == 0 && bytes > 0 && bytes <= (int64_t)fold_encoded_bytes_max();
    uint8_t *data = is_ours ? io_alloc(io, (size_t)bytes, 1) : NULL;
    if (data) {
        error = io_read_whole(io, file, (struct bytes_mut){data, (size_t)bytes}, 0, ret_count);
    }
    io_close(io, file);
    if (data && error != 0) {
        io_free(io, data);
        return NULL;
    }
    return data;
}

/* Begin at the snapshot, if there is one that the log has the place of, else at the log's start. */
static void snapshot_load(struct member *member)
{
    struct partition *partition = member->partition;
    struct io *io = partition->shard->io;
    ASSERT(!member->fold.is_known);
    ASSERT(partition->offset_start <= partition->offset_committed);

    char folder[PATH_BYTES_MAX];
    char path[PATH_BYTES_MAX];
    size_t count = 0;
    folder_path(partition->shard->folder, partition->name, folder);
    uint8_t *data =
        segment_path_join(path, folder, FOLD_FILE_NAME) ? file_read(io, path, &count) : NULL;
    enum pyr_err err = PYR_ERR_NOT_FOUND;
    if (data) {
        err = fold_decode(&member->fold, (struct bytes){data, count}, &partition->id,
                          &member->replica.epochs, partition->offset_committed);
        io_free(io, data);
    }
    if (err == PYR_OK && member->fold.conditions.offset_end >= partition->offset_start) {
        member->counts.fold_snapshots++;
        return;
    }
    fold_begin(&member->fold, partition->offset_start, partition->offset_committed);
}

/* -- The log -- */

/* Fold in the batches of @run that are not yet. */
static enum pyr_err run_fold(struct fold *fold, struct bytes run)
{
    ASSERT(fold->is_known);
    ASSERT(run.count > 0);

    while (run.count > 0 && fold->is_known) {
        struct batch_header header;
        enum pyr_err err = batch_header_read(run, &header, NULL);
        ASSERT(err == PYR_OK); /* Who read it has verified it. */
        if (header.base_offset >= fold->conditions.offset_end) {
            fold_append(fold, (struct bytes){run.data, header.bytes}, &header);
        }
        run = (struct bytes){run.data + header.bytes, run.count - header.bytes};
    }
    return fold->is_known ? PYR_OK : PYR_ERR_NO_MEMORY;
}

/* Have a @buffer of at least @bytes. */
static enum pyr_err buffer_grow(struct io *io, struct bytes_mut *buffer, size_t bytes)
{
    ASSERT(bytes > 0);
    ASSERT(bytes > buffer->count);

    io_free(io, buffer->data);
    buffer->data = io_alloc(io, bytes, BLOCK_BYTES);
    buffer->count = buffer->data ? bytes : 0;
    return buffer->data ? PYR_OK : PYR_ERR_NO_MEMORY;
}

/* Fold in one read of the segment that holds *@offset, and move behind it. */
static enum pyr_err segment_fold(struct member *member,
                                 struct segment_view *view,
                                 struct bytes_mut *buffer,
                                 int64_t *offset)
{
    struct partition *partition = member->partition;
    ASSERT(*offset < partition->offset_written);
    ASSERT(buffer->count > 0);

    struct segment_run run = {0};
    struct segment_read want = {.offset = *offset,
                                .offset_end = partition->offset_written,
                                .bytes_max = buffer->count,
                                .buffer = *buffer};
    enum pyr_err err = segment_view_read(view, &want, &run, NULL);
    if (err == PYR_ERR_TOO_LARGE && run.bytes_needed > buffer->count) {
        return buffer_grow(partition->shard->io, buffer, run.bytes_needed);
    }
    if (err == PYR_OK && run.data.count > 0) {
        err = run_fold(&member->fold, run.data);
    }
    if (run.handle) {
        segment_handle_release(run.handle);
    }
    *offset = err == PYR_OK ? run.offset_next : *offset;
    return err;
}

/* Fold in what segments have that the cache has not. */
static enum pyr_err segments_fold(struct member *member, struct bytes_mut *buffer, int64_t *offset)
{
    struct segment_log *segments = member->partition->segments;
    ASSERT(member->fold.is_known);
    ASSERT(*offset < member->partition->offset_written); /* PAR-9 */

    struct segment_view view;
    enum pyr_err err = segment_log_view(segments, *offset, &view, NULL);
    if (err != PYR_OK) {
        return err;
    }
    int64_t end = segment_log_end(segments).offset;
    int64_t base = segment_log_segment_of(segments, *offset);
    ASSERT(base <= *offset);
    while (err == PYR_OK && *offset < end && segment_log_segment_of(segments, *offset) == base) {
        err = segment_fold(member, &view, buffer, offset);
    }
    segment_log_view_release(segments, &view);
    return err;
}

/* Fold in all that the log has behind what is folded. */
static enum pyr_err log_fold(struct member *member)
{
    struct partition *partition = member->partition;
    struct bytes_mut buffer = {0};
    ASSERT(member->fold.is_known);

    int64_t offset = member->fold.conditions.offset_end;
    enum pyr_err err = PYR_OK;
    while (err == PYR_OK && offset < partition->offset_end) {
        struct cache_chunk *chunk = cache_acquire(&partition->cached, offset);
        if (chunk) {
            struct cache_place place = {0};
            err = run_fold(&member->fold, cache_chunk_part(chunk, offset, INT64_MAX, &place));
            offset = place.offset;
            cache_chunk_release(chunk);
            continue;
        }
        if (!buffer.data) {
            err = buffer_grow(partition->shard->io, &buffer, FOLD_READ_BYTES);
        }
        if (err == PYR_OK) {
            err = segments_fold(member, &buffer, &offset);
        }
    }
    io_free(partition->shard->io, buffer.data);
    return err;
}

void member_fold_build(struct member *member)
{
    struct partition *partition = member->partition;
    ASSERT(!member->fold.is_known);
    ASSERT(!member_waits(member));

    snapshot_load(member);
    member->counts.fold_builds++;
    member->fold_failure = log_fold(member);
    if (member->fold_failure != PYR_OK) {
        uint64_t wait_ns = FOLD_RETRY_NS << member->fold_failures;
        member->fold_failures += member->fold_failures < FOLD_RETRY_DOUBLINGS;
        member->fold_retry_ns = io_now_mono_ns(partition->shard->io) + wait_ns;
        fold_forget(&member->fold);
        return;
    }
    member->fold_failures = 0;
    ASSERT(member->fold.conditions.offset_end == partition->offset_end); /* FOL-1 */
}

/* -- Saving -- */

static void save_run(struct io_job *job)
{
    struct fold_save *save = job->ctx;
    ASSERT(!save->is_done);
    ASSERT(save->count > 0);

    struct bytes data = {save->data, save->count};
    save->err = segment_file_replace(save->io, save->folder, FOLD_FILE_NAME, data, NULL);
}

static void save_done(struct io_job *job)
{
    struct fold_save *save = job->ctx;
    ASSERT(!save->is_done);
    ASSERT(save->data);

    save->is_done = true;
}

static void save_free(struct io *io, struct fold_save *save)
{
    ASSERT(io);

    if (save) {
        io_free(io, save->data);
        io_free(io, save);
    }
}

/* Begin to save what is committed; without memory, not now. */
static void save_begin(struct member *member)
{
    struct partition *partition = member->partition;
    struct io *io = partition->shard->io;
    ASSERT(!member->saving);
    ASSERT(member->fold.is_known);

    struct fold_save *save = io_alloc(io, sizeof *save, _Alignof(struct fold_save));
    uint8_t *data = NULL;
    if (save) {
        data = fold_encode(&member->fold, &partition->id, &member->replica.epochs, &save->count);
    }
    member->fold.bytes_news = 0; /* Also if it cannot be: tried again when there is as much more. */
    if (!data) {
        io_free(io, save);
        return;
    }
    save->io = io;
    save->data = data;
    save->job = (struct io_job){.run = save_run, .done = save_done, .ctx = save};
    folder_path(partition->shard->folder, partition->name, save->folder);
    member->saving = save;
    member->counts.fold_saves++;
    io_job_start(partition->shard->loop, &save->job);
}

/* Return whether saving now is of use, after at least @bytes of batches. */
static bool save_is_due(const struct member *member, uint64_t bytes)
{
    const struct partition *partition = member->partition;
    const struct shard *shard = partition->shard;
    ASSERT(bytes > 0);

    bool is_well = shard->failure.code == PYR_OK && !shard->is_disk_full &&
                   member->failure.code == PYR_OK && !partition->is_deleting;
    bool is_durable =
        partition->offset_durable >= partition->offset_committed || MUTANT(snapshot_ahead_of_log);
    return is_well && is_durable && member->fold.is_known && !member->saving &&
           member->fold.bytes_news >= bytes;
}

static uint64_t save_bytes(const struct member *member)
{
    uint64_t bytes = member->options.fold_save_bytes;
    ASSERT(member->partition);

    return bytes > 0 ? bytes : FOLD_SAVE_BYTES;
}

void member_fold_step(struct member *member)
{
    struct io *io = member->partition->shard->io;
    ASSERT(member->failure.code == PYR_OK);

    if (member->saving && member->saving->is_done) {
        save_free(io, member->saving);
        member->saving = NULL;
    }
    bool is_due = !member->fold.is_known && !member_waits(member) &&
                  io_now_mono_ns(io) >= member->fold_retry_ns;
    if (is_due) {
        member_fold_build(member);
    }
    if (save_is_due(member, save_bytes(member))) {
        save_begin(member);
    }
}

void member_fold_stop(struct member *member)
{
    ASSERT(member->partition);
    ASSERT(!member->is_stopping);

    uint64_t bytes = save_bytes(member) / FOLD_SAVE_STOP_SHARE;
    if (save_is_due(member, bytes > 0 ? bytes : 1)) {
        save_begin(member);
    }
}

bool member_fold_is_quiet(const struct member *member)
{
    ASSERT(member->partition);

    return !member->saving || member->saving->is_done;
}

void member_fold_end(struct member *member)
{
    ASSERT(member_fold_is_quiet(member));
    ASSERT(!member->partition->fold || member->partition->fold == &member->fold);

    member->partition->fold = NULL;
    save_free(member->partition->shard->io, member->saving);
    member->saving = NULL;
    fold_forget(&member->fold);
}

const struct fold *member_fold(const struct member *member)
{
    ASSERT(member->partition);

    return &member->fold;
}
