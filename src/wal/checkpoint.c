/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal/checkpoint - the two twin files, the landmarks, and the course of a checkpoint.
 *
 *               begin            job done         mark appended         mark durable
 *   NONE -----------> WRITING ------------> MARKING ----------> MARKED ------------> NONE
 *     ^                  |
 *     +------------------+  no space, no memory: the old checkpoint stands
 */
#include "wal/checkpoint.h"

#include "base/assert.h"
#include "base/codec.h"
#include "wal/journal.h"

/* A landmark is set when this share of a file was written since the last. */
enum { LANDMARKS_PER_FILE = 64 };

void wal_checkpoint_encode(const struct wal_checkpoint *checkpoint,
                           uint8_t data[WAL_CHECKPOINT_HEADER_BYTES])
{
    ASSERT(checkpoint->file_bytes >= (uint64_t)WAL_FILE_BYTES_MIN);
    ASSERT(checkpoint->resume.position % BLOCK_BYTES == 0);

    put_le64(data, checkpoint->number);
    put_le64(data + 8, checkpoint->file_bytes);
    put_le64(data + 16, checkpoint->durable_upto);
    put_le64(data + 24, checkpoint->resume.position);
    put_le64(data + 32, checkpoint->resume.run);
    put_le64(data + 40, checkpoint->resume.sequence);
    put_le64(data + 48, checkpoint->resume.checksum);
    put_le32(data + 56, checkpoint->resume.used);
    put_le32(data + 60, 0);
}

bool wal_checkpoint_decode(struct bytes body, struct wal_checkpoint *ret_checkpoint)
{
    ASSERT(body.data || body.count == 0);
    ASSERT(ret_checkpoint);

    if (body.count < WAL_CHECKPOINT_HEADER_BYTES) {
        return false;
    }
    const uint8_t *data = body.data;
    struct wal_checkpoint checkpoint = {
        .number = get_le64(data),
        .file_bytes = get_le64(data + 8),
        .durable_upto = get_le64(data + 16),
        .resume.position = get_le64(data + 24),
        .resume.run = get_le64(data + 32),
        .resume.sequence = get_le64(data + 40),
        .resume.checksum = get_le64(data + 48),
        .resume.used = get_le32(data + 56),
        .body = {data + WAL_CHECKPOINT_HEADER_BYTES, body.count - WAL_CHECKPOINT_HEADER_BYTES},
    };
    bool is_file = checkpoint.file_bytes >= (uint64_t)WAL_FILE_BYTES_MIN &&
                   checkpoint.file_bytes <= (uint64_t)WAL_FILE_BYTES_MAX &&
                   checkpoint.file_bytes % BLOCK_BYTES == 0;
    if (!is_file) {
        return false;
    }
    uint64_t in_file = checkpoint.resume.position % checkpoint.file_bytes;
    bool is_place = checkpoint.resume.position >= checkpoint.file_bytes &&
                    in_file % BLOCK_BYTES == 0 && in_file >= (uint64_t)WAL_FILE_DATA_POSITION;
    if (!is_place) {
        return false;
    }
    *ret_checkpoint = checkpoint;
    return true;
}

/* -- The twin files -- */

enum pyr_err wal_checkpoint_write(struct io *io,
                                  const char *folder,
                                  const struct wal_identity *identity,
                                  const struct wal_checkpoint *checkpoint,
                                  struct pyr_error *reterr)
{
    ASSERT(folder);
    ASSERT(checkpoint->body.data || checkpoint->body.count == 0);

    uint64_t body_bytes = WAL_CHECKPOINT_HEADER_BYTES + checkpoint->body.count;
    struct bytes_mut image = {.count = (size_t)wal_twin_image_bytes(body_bytes)};
    ASSERT(image.count >= body_bytes);
    image.data = io_alloc(io, image.count, BLOCK_BYTES);
    if (!image.data) {
        return err_set(reterr, PYR_ERR_NO_MEMORY, "no memory for a checkpoint of %llu bytes",
                       (unsigned long long)body_bytes);
    }
    uint8_t *body = image.data + WAL_TWIN_HEADER_BYTES;
    wal_checkpoint_encode(checkpoint, body);
    if (checkpoint->body.count > 0) {
        memcpy(body + WAL_CHECKPOINT_HEADER_BYTES, checkpoint->body.data, checkpoint->body.count);
    }
    wal_twin_seal(image, WAL_TWIN_CHECKPOINT, identity, body_bytes);
    struct wal_twin_name name = {WAL_TWIN_CHECKPOINT, folder, "checkpoint"};
    enum pyr_err err = wal_twin_write(io, &name, (struct bytes){image.data, image.count}, reterr);
    io_free(io, image.data);
    return err;
}

enum pyr_err wal_checkpoint_read(struct io *io,
                                 const char *folder,
                                 const struct wal_identity *identity,
                                 struct wal_checkpoint *ret_checkpoint,
                                 struct wal_twin *ret_twin,
                                 struct pyr_error *reterr)
{
    ASSERT(ret_checkpoint);
    ASSERT(ret_twin);

    struct wal_twin_name name = {WAL_TWIN_CHECKPOINT, folder, "checkpoint"};
    struct wal_twin twin = {0};
    enum pyr_err err = wal_twin_read(io, &name, identity, &twin, reterr);
    if (err != PYR_OK) {
        return err;
    }
    ASSERT(twin.memory);
    if (!wal_checkpoint_decode(twin.body, ret_checkpoint)) {
        wal_twin_free(io, &twin);
        return err_set(reterr, PYR_ERR_CORRUPT, "'%s/checkpoint' makes no sense", folder);
    }
    *ret_twin = twin;
    return PYR_OK;
}

enum pyr_err wal_run_write(struct io *io,
                           const char *folder,
                           const struct wal_identity *identity,
                           const struct wal_run *run,
                           struct pyr_error *reterr)
{
    ASSERT(folder);
    ASSERT(identity);

    struct bytes_mut image = {.count = (size_t)wal_twin_image_bytes(WAL_RUN_BYTES)};
    image.data = io_alloc(io, image.count, BLOCK_BYTES);
    if (!image.data) {
        return err_set(reterr, PYR_ERR_NO_MEMORY, "no memory to write '%s/run'", folder);
    }
    put_le64(image.data + WAL_TWIN_HEADER_BYTES, run->run);
    put_le64(image.data + WAL_TWIN_HEADER_BYTES + 8, run->random);
    put_le64(image.data + WAL_TWIN_HEADER_BYTES + 16, run->files);
    wal_twin_seal(image, WAL_TWIN_RUN, identity, WAL_RUN_BYTES);
    struct wal_twin_name name = {WAL_TWIN_RUN, folder, "run"};
    enum pyr_err err = wal_twin_write(io, &name, (struct bytes){image.data, image.count}, reterr);
    io_free(io, image.data);
    return err;
}

enum pyr_err wal_run_read(struct io *io,
                          const char *folder,
                          const struct wal_identity *identity,
                          struct wal_run *ret_run,
                          struct pyr_error *reterr)
{
    ASSERT(folder);
    ASSERT(ret_run);

    struct wal_twin_name name = {WAL_TWIN_RUN, folder, "run"};
    struct wal_twin twin = {0};
    enum pyr_err err = wal_twin_read(io, &name, identity, &twin, reterr);
    if (err != PYR_OK) {
        return err;
    }
    if (twin.body.count != WAL_RUN_BYTES) {
        wal_twin_free(io, &twin);
        return err_set(reterr, PYR_ERR_CORRUPT, "'%s/run' makes no sense", folder);
    }
    *ret_run = (struct wal_run){
        .run = get_le64(twin.body.data),
        .random = get_le64(twin.body.data + 8),
        .files = get_le64(twin.body.data + 16),
    };
    wal_twin_free(io, &twin);
    return PYR_OK;
}

/* -- Landmarks -- */

void wal_landmark_add(struct wal *wal, const struct wal_link *link)
{
    ASSERT(wal->landmark_count <= wal->landmarks_max);
    ASSERT(link->position % BLOCK_BYTES == 0);

    uint64_t step = wal->identity.file_bytes / LANDMARKS_PER_FILE;
    if (wal->landmark_count > 0) {
        const struct wal_link *last = &wal->landmarks[wal->landmark_count - 1];
        ASSERT(link->position >= last->position);
        bool is_same_file = wal_generation_of(&wal->identity, link->position) ==
                            wal_generation_of(&wal->identity, last->position);
        if (is_same_file && link->position - last->position < step) {
            return;
        }
    }
    /* The table holds all that the files can; more files than that were left by other options, and
     * their replay begins a little earlier. */
    if (wal->landmark_count < wal->landmarks_max) {
        wal->landmarks[wal->landmark_count++] = *link;
    }
}

/* Return the last link at or below @position (CHK-1, CHK-2). */
static struct wal_link landmark_find(const struct wal *wal, uint64_t position)
{
    ASSERT(wal->resume.position <= wal->link.position);

    if (position >= wal->entries_end && !wal->gathering && !wal->open) {
        return wal->link;
    }
    struct wal_link found = wal->resume;
    for (uint32_t index = 0; index < wal->landmark_count; index++) {
        const struct wal_link *landmark = &wal->landmarks[index];
        if (landmark->position <= position && landmark->position > found.position) {
            found = *landmark;
        }
    }
    ASSERT(found.position >= wal->resume.position); /* CHK-2 */
    return found;
}

static void landmarks_trim(struct wal *wal, uint64_t position)
{
    ASSERT(position % BLOCK_BYTES == 0);

    uint32_t kept = 0;
    for (uint32_t index = 0; index < wal->landmark_count; index++) {
        if (wal->landmarks[index].position >= position) {
            wal->landmarks[kept++] = wal->landmarks[index];
        }
    }
    ASSERT(kept <= wal->landmark_count);
    wal->landmark_count = kept;
}

/* -- The course of a checkpoint -- */

static void work_run(struct io_job *job)
{
    struct wal_checkpoint_work *work = job->ctx;
    struct wal_twin_name name = {WAL_TWIN_CHECKPOINT, work->folder, "checkpoint"};
    ASSERT(work->state == WAL_CHECKPOINT_WRITING);
    ASSERT(work->image.data);

    work->err = wal_twin_write(work->io, &name, (struct bytes){work->image.data, work->image.count},
                               &work->reason);
}

static void work_done(struct io_job *job)
{
    struct wal_checkpoint_work *work = job->ctx;
    struct wal *wal = container_of(work, struct wal, checkpoint);
    ASSERT(work->image.data);
    ASSERT(work->state == WAL_CHECKPOINT_WRITING);

    io_free(work->io, work->image.data);
    work->image = (struct bytes_mut){0};
    if (work->err == PYR_OK) {
        work->state = WAL_CHECKPOINT_MARKING;
        work->number++;
        wal->counters.checkpoints++;
    } else {
        work->state = WAL_CHECKPOINT_NONE;
        bool can_wait = work->err == PYR_ERR_DISK_FULL || work->err == PYR_ERR_NO_MEMORY;
        if (!can_wait) {
            wal_fail(wal, &work->reason); /* WAL-4: a failed sync is not tried again. */
        }
    }
    wal_pump(wal);
}

static enum pyr_err begin_check(const struct wal *wal, struct bytes body, struct pyr_error *reterr)
{
    ASSERT(body.data || body.count == 0);

    if (wal->state == WAL_STATE_FAILED) {
        return err_set(reterr, PYR_ERR_FAILED, "the journal has failed: %s", wal->reason.message);
    }
    if (wal->state != WAL_STATE_OPEN) {
        return err_set(reterr, PYR_ERR_CLOSED, "the journal in '%s' is closing", wal->folder);
    }
    if (wal->checkpoint.state != WAL_CHECKPOINT_NONE) {
        return err_set(reterr, PYR_ERR_BUSY, "a checkpoint is being made");
    }
    if (body.count > (size_t)WAL_CHECKPOINT_BYTES_MAX) {
        return err_set(reterr, PYR_ERR_TOO_LARGE, "a checkpoint of %zu bytes is above the limit",
                       body.count);
    }
    return PYR_OK;
}

enum pyr_err wal_checkpoint_begin(struct wal *wal,
                                  struct bytes body,
                                  uint64_t position,
                                  struct pyr_error *reterr)
{
    enum pyr_err err = begin_check(wal, body, reterr);
    if (err != PYR_OK) {
        return err;
    }
    struct wal_checkpoint_work *work = &wal->checkpoint;
    uint64_t body_bytes = WAL_CHECKPOINT_HEADER_BYTES + body.count;
    struct bytes_mut image = {.count = (size_t)wal_twin_image_bytes(body_bytes)};
    image.data = io_alloc(wal->io, image.count, BLOCK_BYTES);
    if (!image.data) {
        return err_set(reterr, PYR_ERR_NO_MEMORY, "no memory for a checkpoint of %zu bytes",
                       body.count);
    }
    struct wal_checkpoint checkpoint = {
        .number = work->number + 1, /* CHK-2 */
        .file_bytes = wal->identity.file_bytes,
        .durable_upto = wal->durable_position,
        .resume = landmark_find(wal, position),
    };
    ASSERT(checkpoint.resume.position <= position || position >= wal->entries_end ||
           checkpoint.resume.position == wal->resume.position); /* CHK-1 */
    uint8_t *data = image.data + WAL_TWIN_HEADER_BYTES;
    wal_checkpoint_encode(&checkpoint, data);
    if (body.count > 0) {
        memcpy(data + WAL_CHECKPOINT_HEADER_BYTES, body.data, body.count);
    }
    wal_twin_seal(image, WAL_TWIN_CHECKPOINT, &wal->identity, body_bytes);
    work->io = wal->io;
    work->folder = wal->folder;
    work->image = image;
    work->resume = checkpoint.resume;
    work->state = WAL_CHECKPOINT_WRITING;
    work->err = PYR_OK;
    work->job = (struct io_job){.run = work_run, .done = work_done, .ctx = work};
    io_job_start(wal->loop, &work->job);
    return PYR_OK;
}

/* Append the mark. What keeps it out ends by itself, but for a full disk at the stop: then the
 * checkpoint stands and nothing is freed. */
static void mark_append(struct wal *wal)
{
    ASSERT(wal->checkpoint.state == WAL_CHECKPOINT_MARKING);
    ASSERT(wal->checkpoint.number > 0);

    struct wal_checkpoint_work *work = &wal->checkpoint;
    uint8_t payload[WAL_MARK_BYTES];
    wal_mark_encode(&(struct wal_mark){work->number, work->resume.position}, payload);
    struct wal_entry entry = {
        .kind = WAL_ENTRY_CHECKPOINT,
        .parts[0] = {payload, sizeof payload},
    };
    enum pyr_err err = wal_flush_append(wal, &entry, WAL_CLASS_MARK, &work->mark_end, NULL);
    if (err == PYR_OK) {
        wal->gathering->needs_durable = true;
        wal->gathering->is_due = true;
        work->state = WAL_CHECKPOINT_MARKED;
    } else if (wal->state == WAL_STATE_STOPPING && err == PYR_ERR_DISK_FULL) {
        work->state = WAL_CHECKPOINT_NONE;
    }
}

/* The mark is durable: what the checkpoint covers may be overwritten (WAL-5). */
static void files_free(struct wal *wal)
{
    ASSERT(wal->durable_position >= wal->checkpoint.mark_end);

    uint64_t generation = wal_generation_of(&wal->identity, wal->checkpoint.resume.position);
    ASSERT(wal->active->generation >= generation);

    for (uint32_t index = 0; index < wal->files.count; index++) {
        struct wal_file *file = &wal->files.rows[index];
        if (file->state == WAL_FILE_USED && file->generation < generation) {
            ASSERT(!file->is_unsynced); /* WAL-5: the mark behind it is durable, so it is too. */
            file->state = WAL_FILE_FREE;
        }
    }
    wal->resume = wal->checkpoint.resume;
    landmarks_trim(wal, wal->resume.position);
    wal->is_prepare_due = true;
}

void wal_checkpoint_advance(struct wal *wal)
{
    ASSERT(wal->checkpoint.state >= WAL_CHECKPOINT_NONE);
    ASSERT(wal->checkpoint.state <= WAL_CHECKPOINT_MARKED);

    struct wal_checkpoint_work *work = &wal->checkpoint;
    if (work->state == WAL_CHECKPOINT_MARKING) {
        mark_append(wal);
    }
    if (work->state == WAL_CHECKPOINT_MARKED && wal->durable_position >= work->mark_end) {
        work->state = WAL_CHECKPOINT_NONE;
        files_free(wal);
    }
}

bool wal_checkpoint_is_running(const struct wal *wal)
{
    return wal->checkpoint.state != WAL_CHECKPOINT_NONE;
}

enum pyr_err wal_checkpoint_result(const struct wal *wal, struct pyr_error *reterr)
{
    const struct wal_checkpoint_work *work = &wal->checkpoint;
    if (work->state == WAL_CHECKPOINT_WRITING) {
        return err_set(reterr, PYR_ERR_BUSY, "a checkpoint is being made");
    }
    ASSERT(!work->image.data);
    return work->err == PYR_OK ? PYR_OK : err_set(reterr, work->err, "%s", work->reason.message);
}
