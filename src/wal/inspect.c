/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal/inspect - the offline view over replay, and the cut.
 */
#include "wal/inspect.h"

#include <stdio.h>

#include "base/assert.h"
#include "wal/checkpoint.h"
#include "wal/disk.h"
#include "wal/replay.h"

struct wal_inspect {
    struct io *io;
    char folder[PATH_BYTES_MAX];
    struct wal_files files;
    struct wal_checkpoint checkpoint;
    struct wal_twin twin;
    struct wal_run run;
    bool is_run_readable;
    uint64_t run_highest; /* Seen in any header so far. */
    struct wal_replay replay;
    bool is_ended;
    bool is_rest_begun;
    struct wal_inspect_end end;
};

/* Stands in where the caller has no way to check payloads. */
static bool believe(void *ctx, const struct wal_replay_entry *entry)
{
    (void)ctx;
    return entry != NULL;
}

/* Tell the files that a replay reads from the others, as an opening does. */
static void files_classify(struct wal_inspect *inspect)
{
    ASSERT(inspect->checkpoint.file_bytes == inspect->files.identity.file_bytes);

    uint64_t generation =
        wal_generation_of(&inspect->files.identity, inspect->checkpoint.resume.position);
    for (uint32_t index = 0; index < inspect->files.count; index++) {
        struct wal_file *file = &inspect->files.rows[index];
        bool is_free = file->generation < generation || file->is_half;
        if (file->state != WAL_FILE_DAMAGED) {
            file->state = is_free ? WAL_FILE_FREE : WAL_FILE_USED;
        }
    }
    ASSERT(inspect->files.is_read_only); /* INSP-1 */
}

static enum pyr_err inspect_read(struct wal_inspect *inspect, struct pyr_error *reterr)
{
    ASSERT(inspect->io);
    ASSERT(!inspect->twin.memory);

    enum pyr_err err = wal_checkpoint_read(inspect->io, inspect->folder, NULL, &inspect->checkpoint,
                                           &inspect->twin, reterr);
    if (err == PYR_ERR_NOT_FOUND) {
        return err_set(reterr, PYR_ERR_CORRUPT, "'%s/checkpoint' is missing", inspect->folder);
    }
    if (err != PYR_OK) {
        return err;
    }
    err = wal_run_read(inspect->io, inspect->folder, NULL, &inspect->run, reterr);
    inspect->is_run_readable = err == PYR_OK;
    if (err != PYR_OK && err != PYR_ERR_CORRUPT && err != PYR_ERR_NOT_FOUND) {
        return err;
    }
    struct wal_identity identity = inspect->twin.identity;
    identity.file_bytes = inspect->checkpoint.file_bytes;
    err = wal_files_open(&inspect->files,
                         &(struct wal_files_options){
                             .io = inspect->io,
                             .folder = inspect->folder,
                             .identity = &identity,
                             .is_read_only = true,
                         },
                         reterr);
    if (err == PYR_OK) {
        files_classify(inspect);
    }
    return err;
}

enum pyr_err wal_inspect_open(struct io *io,
                              const char *folder,
                              wal_verify_fn verify,
                              void *verify_ctx,
                              struct wal_inspect **ret_inspect,
                              struct pyr_error *reterr)
{
    ASSERT(io);
    ASSERT(folder);

    struct wal_inspect *inspect = io_alloc(io, sizeof *inspect, _Alignof(struct wal_inspect));
    if (!inspect) {
        return err_set(reterr, PYR_ERR_NO_MEMORY, "no memory to look at '%s'", folder);
    }
    inspect->io = io;
    (void)snprintf(inspect->folder, sizeof inspect->folder, "%s", folder);
    enum pyr_err err = inspect_read(inspect, reterr);
    if (err != PYR_OK) {
        wal_inspect_close(inspect);
        return err;
    }
    wal_replay_init(&inspect->replay,
                    &(struct wal_replay_options){
                        .files = &inspect->files,
                        .start = inspect->checkpoint.resume,
                        .checkpoint_number = inspect->checkpoint.number,
                        .checkpoint_durable_upto = inspect->checkpoint.durable_upto,
                        .verify = verify ? verify : believe,
                        .verify_ctx = verify_ctx,
                    });
    *ret_inspect = inspect;
    return PYR_OK;
}

void wal_inspect_close(struct wal_inspect *inspect)
{
    if (!inspect) {
        return;
    }
    wal_replay_deinit(&inspect->replay);
    if (inspect->twin.memory) {
        wal_twin_free(inspect->io, &inspect->twin);
    }
    wal_files_close(&inspect->files);
    io_free(inspect->io, inspect);
}

void wal_inspect_info(const struct wal_inspect *inspect, struct wal_inspect_info *ret_info)
{
    ASSERT(inspect->checkpoint.body.data || inspect->checkpoint.body.count == 0);

    const struct wal_checkpoint *checkpoint = &inspect->checkpoint;
    *ret_info = (struct wal_inspect_info){
        .shard = inspect->files.identity.shard,
        .file_bytes = checkpoint->file_bytes,
        .files = inspect->files.count,
        .is_run_readable = inspect->is_run_readable,
        .run = inspect->run.run,
        .checkpoint_number = checkpoint->number,
        .resume_position = checkpoint->resume.position,
        .durable_upto = checkpoint->durable_upto,
        .checkpoint_body = checkpoint->body,
        .checkpoint_copies_bad = inspect->twin.copies_bad,
    };
    memcpy(ret_info->storage_id, inspect->files.identity.storage_id, WAL_STORAGE_ID_BYTES);
    ASSERT(ret_info->file_bytes > 0);
}

bool wal_inspect_file(const struct wal_inspect *inspect,
                      uint32_t index,
                      struct wal_inspect_file *ret_file)
{
    ASSERT(ret_file);
    ASSERT(inspect->files.rows || inspect->files.count == 0);

    if (index >= inspect->files.count) {
        return false;
    }
    const struct wal_file *file = &inspect->files.rows[index];
    *ret_file = (struct wal_inspect_file){
        .slot = file->slot,
        .generation = file->state == WAL_FILE_DAMAGED ? 0 : file->generation,
        .headers_bad = file->headers_bad,
        .is_needed = file->state != WAL_FILE_FREE,
    };
    return true;
}

static void run_note(struct wal_inspect *inspect, const struct wal_flush_header *header)
{
    ASSERT(inspect->io);
    ASSERT(header->position > 0);

    inspect->run_highest = header->run > inspect->run_highest ? header->run : inspect->run_highest;
}

/* Write into @reason why a start refuses the journal whatever its chain says; false if it does not.
 */
static bool is_refused(const struct wal_inspect *inspect,
                       const struct wal_file *last,
                       char reason[PYR_ERROR_MESSAGE_MAX])
{
    const struct wal_files *files = &inspect->files;
    ASSERT(reason);
    ASSERT(files->is_read_only);

    if (!last || files->count < inspect->run.files) {
        (void)snprintf(reason, PYR_ERROR_MESSAGE_MAX, "'%s': journal files are missing",
                       inspect->folder);
        return true;
    }
    for (uint32_t index = 0; index < files->count; index++) {
        char path[PATH_BYTES_MAX];
        if (files->rows[index].state == WAL_FILE_DAMAGED) {
            wal_files_path(files, files->rows[index].slot, path);
            (void)snprintf(reason, PYR_ERROR_MESSAGE_MAX,
                           "'%s': its headers are damaged, or it was cut", path);
            return true;
        }
    }
    if (!inspect->is_run_readable || inspect->run.run < inspect->replay.link.run) {
        (void)snprintf(reason, PYR_ERROR_MESSAGE_MAX, "'%s/run' is missing, damaged or old",
                       inspect->folder);
        return true;
    }
    return false;
}

/* Keep where and how the chain ended. */
static void end_note(struct wal_inspect *inspect, enum pyr_err err, const struct pyr_error *error)
{
    ASSERT(err == PYR_OK || err == PYR_ERR_CORRUPT);
    ASSERT(!inspect->is_ended || inspect->end.is_corrupt || err == PYR_OK);

    const struct wal_files *files = &inspect->files;
    uint64_t position = inspect->replay.link.position;
    const struct wal_file *file =
        wal_files_find(files, wal_generation_of(&files->identity, position));
    inspect->is_ended = true;
    inspect->end = (struct wal_inspect_end){
        .is_corrupt = err == PYR_ERR_CORRUPT,
        .position = position,
        .slot = file ? file->slot : 0,
        .in_file = wal_file_position_of(&files->identity, position),
        .durable_upto = inspect->replay.proof_upto,
    };
    const char *reason =
        err == PYR_ERR_CORRUPT ? error->message : inspect->replay.report.cut_reason;
    (void)snprintf(inspect->end.reason, sizeof inspect->end.reason, "%s", reason);
    char refusal[PYR_ERROR_MESSAGE_MAX];
    bool is_silent = err == PYR_OK || !file; /* Else what the chain says is more exact. */
    if (is_refused(inspect, file, refusal)) {
        inspect->end.is_corrupt = true;
        if (is_silent) {
            (void)snprintf(inspect->end.reason, sizeof inspect->end.reason, "%s", refusal);
        }
    }
}

enum pyr_err wal_inspect_flush(struct wal_inspect *inspect,
                               const struct wal_flush_header **ret_header,
                               struct pyr_error *reterr)
{
    ASSERT(inspect->files.is_read_only);

    struct pyr_error error = {0};
    *ret_header = NULL;
    enum pyr_err err = wal_replay_flush(&inspect->replay, ret_header, &error);
    if (err != PYR_OK && reterr) {
        *reterr = error;
    }
    if (err == PYR_OK && *ret_header) {
        run_note(inspect, *ret_header);
        return PYR_OK;
    }
    if (err == PYR_OK || err == PYR_ERR_CORRUPT) {
        ASSERT(!*ret_header);
        end_note(inspect, err, &error);
    }
    return err;
}

bool wal_inspect_entry(struct wal_inspect *inspect, struct wal_inspect_entry *ret_entry)
{
    ASSERT(ret_entry);

    struct wal_entry_view view;
    if (!wal_replay_entry(&inspect->replay, &view)) {
        return false;
    }
    ASSERT(view.bytes > 0);
    *ret_entry = (struct wal_inspect_entry){
        .entry = view.entry,
        .is_repeat = (view.flags & WAL_ENTRY_REPEAT) != 0,
        .position = inspect->replay.entry.position,
    };
    return true;
}

void wal_inspect_end(const struct wal_inspect *inspect, struct wal_inspect_end *ret_end)
{
    ASSERT(ret_end);
    ASSERT(inspect->is_ended);

    *ret_end = inspect->end;
}

enum pyr_err wal_inspect_rest(struct wal_inspect *inspect,
                              const struct wal_flush_header **ret_header,
                              struct pyr_error *reterr)
{
    ASSERT(ret_header);
    ASSERT(inspect->is_ended);

    if (!inspect->is_rest_begun) {
        inspect->is_rest_begun = true;
        wal_replay_rest_begin(&inspect->replay);
    }
    const struct wal_flush_header *header = NULL;
    do {
        enum pyr_err err = wal_replay_rest_next(&inspect->replay, &header, reterr);
        if (err != PYR_OK) {
            return err;
        }
        if (header) {
            run_note(inspect, header);
        }
    } while (header && header->run < inspect->replay.link.run);
    *ret_header = header;
    return header ? wal_replay_rest_entries(&inspect->replay, reterr) : PYR_OK;
}

/* -- Repair -- */

/* See every header behind the end, so that the new run lies above all of them. */
static enum pyr_err runs_see(struct wal_inspect *inspect, struct pyr_error *reterr)
{
    ASSERT(inspect->is_ended);
    ASSERT(inspect->files.is_read_only); /* INSP-1 */

    inspect->is_rest_begun = false;
    const struct wal_flush_header *header = NULL;
    do {
        enum pyr_err err = wal_inspect_rest(inspect, &header, reterr);
        if (err != PYR_OK) {
            return err;
        }
    } while (header);
    return PYR_OK;
}

/* Keep files without a readable header beside the journal, under another name. */
static enum pyr_err damaged_put_aside(struct wal_inspect *inspect, struct pyr_error *reterr)
{
    ASSERT(inspect->is_ended);
    ASSERT(inspect->files.count <= inspect->files.rows_max);

    for (uint32_t index = 0; index < inspect->files.count; index++) {
        const struct wal_file *file = &inspect->files.rows[index];
        if (file->state != WAL_FILE_DAMAGED) {
            continue;
        }
        char from[PATH_BYTES_MAX];
        char to[PATH_BYTES_MAX];
        wal_files_path(&inspect->files, file->slot, from);
        (void)snprintf(to, sizeof to, "%s/%08u.damaged", inspect->folder, file->slot);
        int error = io_rename(inspect->io, from, to);
        if (error != 0) {
            return err_set_errno(reterr, error, "rename '%s'", from);
        }
    }
    int error = io_sync_folder(inspect->io, inspect->folder);
    return error == 0 ? PYR_OK : err_set_errno(reterr, error, "sync folder '%s'", inspect->folder);
}

/* Return the file that takes the cut's flush, and where: behind the last good flush, or, if its
 * file is full, at the start of the next, if there is one. */
static const struct wal_file *cut_place(const struct wal_inspect *inspect, uint64_t *ret_position)
{
    ASSERT(ret_position);

    const struct wal_identity *identity = &inspect->files.identity;
    uint64_t position = inspect->replay.link.position;
    uint64_t generation = wal_generation_of(identity, position);
    const struct wal_file *file = wal_files_find(&inspect->files, generation);
    if (file && wal_file_left(identity, position) >= BLOCK_BYTES) {
        *ret_position = position;
        return file;
    }
    file = wal_files_after(&inspect->files, generation);
    if (file) {
        ASSERT(file->generation > generation); /* INSP-2 */
        *ret_position = file->generation * identity->file_bytes + WAL_FILE_DATA_POSITION;
    }
    return file;
}

/* Let the checkpoint claim no more than is there: neither as durable, nor as the place to begin at
 * if the file of that place is gone. */
static enum pyr_err checkpoint_lower(struct wal_inspect *inspect, struct pyr_error *reterr)
{
    ASSERT(inspect->is_ended);

    struct wal_checkpoint *checkpoint = &inspect->checkpoint;
    const struct wal_identity *identity = &inspect->files.identity;
    uint64_t position = 0;
    const struct wal_file *target = cut_place(inspect, &position);
    const struct wal_file *first =
        wal_files_find(&inspect->files, wal_generation_of(identity, checkpoint->resume.position));
    if (!target) {
        return err_set(reterr, PYR_ERR_UNSUPPORTED, "'%s' has no journal file left to repair",
                       inspect->folder);
    }
    bool is_lower = checkpoint->durable_upto > inspect->replay.good_end || !first;
    if (!is_lower) {
        return PYR_OK;
    }
    ASSERT(first || checkpoint->resume.position == inspect->replay.link.position);
    checkpoint->durable_upto = inspect->replay.good_end;
    checkpoint->resume.position = first ? checkpoint->resume.position : position;
    return wal_checkpoint_write(inspect->io, inspect->folder, identity, checkpoint, reterr);
}

/* Write the flush that ends the chain in a new run. */
static enum pyr_err cut_write(struct wal_inspect *inspect, uint64_t run, struct pyr_error *reterr)
{
    ASSERT(run > inspect->replay.link.run);

    const struct wal_identity *identity = &inspect->files.identity;
    const struct wal_link *link = &inspect->replay.link;
    uint64_t position = 0;
    const struct wal_file *target = cut_place(inspect, &position);
    ASSERT(target);
    struct wal_flush_header header = {
        .flags = WAL_FLUSH_EMPTY | WAL_FLUSH_CUT,
        .position = position,
        .sequence = link->sequence + 1,
        .run = run,
        .durable_upto = inspect->replay.good_end,
        .previous_checksum = link->checksum,
        .previous_used = link->used,
        .bytes = BLOCK_BYTES,
        .bytes_used = WAL_FLUSH_HEADER_BYTES,
    };
    char path[PATH_BYTES_MAX];
    wal_files_path(&inspect->files, target->slot, path);
    uint8_t *block = io_alloc(inspect->io, BLOCK_BYTES, BLOCK_BYTES);
    if (!block) {
        return err_set(reterr, PYR_ERR_NO_MEMORY, "no memory to repair '%s'", path);
    }
    wal_flush_header_encode(identity, &header, block);
    struct io_file *file = NULL;
    int error = io_open(inspect->io, path, IO_OPEN_WRITE, &file);
    if (error == 0) {
        error = io_write_whole(inspect->io, file, (struct bytes){block, BLOCK_BYTES},
                               wal_file_position_of(identity, position), true);
        io_close(inspect->io, file);
    }
    io_free(inspect->io, block);
    return error == 0 ? PYR_OK : err_set_errno(reterr, error, "write the cut to '%s'", path);
}

enum pyr_err wal_inspect_repair(struct wal_inspect *inspect, struct pyr_error *reterr)
{
    ASSERT(inspect->files.is_read_only);
    ASSERT(inspect->is_ended);

    bool is_sound = !inspect->end.is_corrupt && inspect->is_run_readable &&
                    wal_files_count(&inspect->files, WAL_FILE_DAMAGED) == 0 &&
                    inspect->run.run >= inspect->replay.link.run;
    if (is_sound) {
        return PYR_OK;
    }
    enum pyr_err err = runs_see(inspect, reterr);
    if (err != PYR_OK) {
        return err;
    }
    const struct wal_identity *identity = &inspect->files.identity;
    uint64_t highest =
        inspect->run_highest > inspect->run.run ? inspect->run_highest : inspect->run.run;
    highest = inspect->replay.link.run > highest ? inspect->replay.link.run : highest;
    struct wal_run run = {
        .run = highest + 1,
        .random = io_random_seed(inspect->io),
        .files = inspect->files.count - wal_files_count(&inspect->files, WAL_FILE_DAMAGED),
    };
    err = wal_run_write(inspect->io, inspect->folder, identity, &run, reterr);
    if (err == PYR_OK) {
        err = checkpoint_lower(inspect, reterr);
    }
    if (err == PYR_OK) {
        err = damaged_put_aside(inspect, reterr);
    }
    return err == PYR_OK ? cut_write(inspect, run.run, reterr) : err;
}
