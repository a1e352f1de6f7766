/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal/open - opening, creating, starting and destroying a journal; all of it blocks.
 *
 * Creating: 1. the folder, and its parent is synced   2. the first file   3. checkpoint number 0
 *           4. the file `run`, with 0. It comes last and says that all is there: a folder without
 *              it is a creation that a crash broke off, and is done again, unless a flush stands in
 *              it.
 * Opening:  1. run, checkpoint   2. each file is synced, then its headers are read
 *           3. memory. Nothing has been changed but half-made files that were removed.
 * Starting: 1. one-sided headers of the chain's files are healed   2. the run is raised (WAL-7)
 *           3. files behind the end of the chain become spares
 */
#include <errno.h>
#include <stdio.h>

#include "base/assert.h"
#include "wal/disk.h"
#include "wal/journal.h"

#define NS_PER_MS UINT64_C(1000000)

/* Landmarks in a file: 64 steps, one at its start, one for what rounding leaves. */
enum { LANDMARKS_PER_FILE_MAX = 66 };

/* What a buffer holds beside the payload of its first entry. */
#define FLUSH_OVERHEAD_BYTES                                                                 \
    (WAL_FLUSH_HEADER_BYTES + WAL_ENTRY_HEADER_BYTES + WAL_SEGMENT_REF_BYTES + BLOCK_BYTES + \
     INT64_C(1) * WAL_STATE_ENTRIES_MAX * (WAL_ENTRY_HEADER_BYTES + WAL_STATE_PAYLOAD_BYTES_MAX))

/* A buffer of the pool takes this much more than what makes a flush full. */
#define FLUSH_SLACK_BYTES (64 * KIB)

ASSERT_STATIC(WAL_FILE_BYTES_MIN - WAL_FILE_DATA_POSITION - BLOCK_BYTES >
                  2 * (FLUSH_OVERHEAD_BYTES),
              "the smallest file takes a flush that repeats all it can and an entry beside");

/* -- Options -- */

static enum pyr_err options_check(const struct wal_options *options, struct pyr_error *reterr)
{
    ASSERT(options->folder);
    ASSERT(options->depth > 0);

    if (strlen(options->folder) + sizeof "/checkpoint.new" > PATH_BYTES_MAX) {
        return err_set(reterr, PYR_ERR_INVALID, "the journal's path is too long");
    }
    bool is_file = options->file_bytes >= (uint64_t)WAL_FILE_BYTES_MIN &&
                   options->file_bytes <= (uint64_t)WAL_FILE_BYTES_MAX &&
                   options->file_bytes % BLOCK_BYTES == 0;
    if (!is_file) {
        return err_set(reterr, PYR_ERR_INVALID,
                       "journal files of %llu bytes: must be 64 KiB to 1 GiB, in whole blocks",
                       (unsigned long long)options->file_bytes);
    }
    if (options->files_max < WAL_FILES_MIN || options->files_max > WAL_FILES_MAX) {
        return err_set(reterr, PYR_ERR_INVALID, "%u journal files: must be %d to %d",
                       options->files_max, WAL_FILES_MIN, WAL_FILES_MAX);
    }
    if (options->depth > WAL_DEPTH_MAX) {
        return err_set(reterr, PYR_ERR_INVALID, "%u flushes in flight: must be 1 to %d",
                       options->depth, WAL_DEPTH_MAX);
    }
    if (options->gather_count < 2 || options->gather_count > WAL_GATHER_MAX) {
        return err_set(reterr, PYR_ERR_INVALID, "%u gather buffers: must be 2 to %d",
                       options->gather_count, WAL_GATHER_MAX);
    }
    return PYR_OK;
}

/* Fill in the defaults that do not depend on the length of a file. */
static struct wal_options options_default(const struct wal_options *given)
{
    ASSERT(given->folder);

    struct wal_options options = *given;
    options.file_bytes = options.file_bytes ? options.file_bytes : WAL_FILE_BYTES_DEFAULT;
    options.files_max = options.files_max ? options.files_max : WAL_FILES_DEFAULT;
    options.depth = options.depth ? options.depth : WAL_DEPTH_DEFAULT;
    options.gather_count = options.gather_count ? options.gather_count : WAL_GATHER_DEFAULT;
    options.flush_bytes_target =
        options.flush_bytes_target ? options.flush_bytes_target : WAL_FLUSH_BYTES_TARGET_DEFAULT;
    options.idle_ns = options.idle_ns ? options.idle_ns : WAL_IDLE_MS_DEFAULT * NS_PER_MS;
    return options;
}

/* Fit what depends on the length of a file, which is known now, into it. */
static enum pyr_err options_fit(struct wal *wal, struct pyr_error *reterr)
{
    ASSERT(wal->identity.file_bytes >= (uint64_t)WAL_FILE_BYTES_MIN);

    struct wal_options *options = &wal->options;
    uint64_t entry_bytes = wal_file_room(&wal->identity) - FLUSH_OVERHEAD_BYTES;
    uint64_t fits = entry_bytes < (uint64_t)BATCH_BYTES_MAX ? entry_bytes : BATCH_BYTES_MAX;
    if (options->entry_bytes_max > fits) {
        return err_set(reterr, PYR_ERR_INVALID,
                       "entries of %u bytes: journal files of %llu bytes take at most %llu",
                       options->entry_bytes_max, (unsigned long long)wal->identity.file_bytes,
                       (unsigned long long)fits);
    }
    options->entry_bytes_max = options->entry_bytes_max ? options->entry_bytes_max : (uint32_t)fits;
    ASSERT(options->entry_bytes_max > 0);
    return PYR_OK;
}

/* -- Memory -- */

static uint8_t *memory_take(struct wal *wal, size_t bytes)
{
    ASSERT(wal->io);
    ASSERT(bytes > 0);

    return io_alloc(wal->io, bytes, BLOCK_BYTES);
}

/* A buffer that goes to the device: in large pages, if it fills one. */
static uint8_t *buffer_take(struct wal *wal, size_t bytes)
{
    ASSERT(wal->io);
    ASSERT(bytes > 0);

    /* Entries, padding and header are all written before they go to the device. */
    return io_alloc_raw(wal->io, bytes,
                        bytes >= IO_LARGE_PAGE_BYTES ? IO_LARGE_PAGE_BYTES : BLOCK_BYTES);
}

/* Give each flush its buffer; the last one takes the largest entry, the others stand side by side.
 * A virtual disk's queue has room for a request of a few hundred pieces of memory: of small pages,
 * one write of 1 MiB is cut in two and fills it, and the next flush waits outside. */
static bool flushes_alloc(struct wal *wal)
{
    ASSERT(wal->flushes);
    ASSERT(wal->flush_count >= 3);
    ASSERT(!wal->free_first);

    uint64_t large = align_up(wal->options.entry_bytes_max + FLUSH_OVERHEAD_BYTES, BLOCK_BYTES);
    uint64_t usual = align_up(wal->options.flush_bytes_target + (uint64_t)FLUSH_SLACK_BYTES +
                                  FLUSH_OVERHEAD_BYTES,
                              BLOCK_BYTES);
    usual = usual < large ? usual : large;
    uint32_t gather_count = wal->flush_count - 1;
    wal->gather_memory = buffer_take(wal, (size_t)usual * gather_count);
    wal->large_memory = wal->gather_memory ? buffer_take(wal, (size_t)large) : NULL;
    if (!wal->large_memory) {
        return false;
    }
    for (uint32_t index = 0; index < gather_count; index++) {
        wal->flushes[index] = (struct wal_flush){.wal = wal,
                                                 .data = wal->gather_memory + usual * index,
                                                 .capacity = (uint32_t)usual,
                                                 .next = wal->free_first};
        wal->free_first = &wal->flushes[index];
    }
    wal->large = &wal->flushes[gather_count];
    *wal->large =
        (struct wal_flush){.wal = wal, .data = wal->large_memory, .capacity = (uint32_t)large};
    return true;
}

static enum pyr_err memory_alloc(struct wal *wal, struct pyr_error *reterr)
{
    ASSERT(!wal->flushes);
    ASSERT(wal->identity.file_bytes > 0);

    wal->flush_count = wal->options.gather_count + 1;
    wal->landmarks_max = wal->files.rows_max * LANDMARKS_PER_FILE_MAX;
    wal->zeros = memory_take(wal, wal_zero_bytes(&wal->identity) + BLOCK_BYTES);
    wal->repeats =
        (void *)memory_take(wal, (size_t)2 * WAL_STATE_ENTRIES_MAX * sizeof wal->repeats[0]);
    wal->landmarks = (void *)memory_take(wal, wal->landmarks_max * sizeof wal->landmarks[0]);
    wal->flushes = (void *)memory_take(wal, wal->flush_count * sizeof wal->flushes[0]);
    bool is_whole = wal->zeros && wal->repeats && wal->landmarks && wal->flushes;
    if (!is_whole || !flushes_alloc(wal)) {
        return err_set(reterr, PYR_ERR_NO_MEMORY, "no memory for the journal in '%s'", wal->folder);
    }
    return PYR_OK;
}

static void memory_free(struct wal *wal)
{
    ASSERT(!wal->sync.is_running);

    io_free(wal->io, wal->large_memory);
    io_free(wal->io, wal->gather_memory);
    io_free(wal->io, wal->flushes);
    io_free(wal->io, wal->landmarks);
    io_free(wal->io, wal->repeats);
    io_free(wal->io, wal->zeros);
    ASSERT(wal->in_flight == 0);
}

/* -- Creating -- */

/* A folder without the file `run`: refuse if a flush stands in it, since then it was complete. */
static enum pyr_err create_check(struct wal *wal, struct pyr_error *reterr)
{
    ASSERT(wal->files.count <= wal->files.rows_max);
    ASSERT(wal->identity.file_bytes > 0);

    uint8_t *block = memory_take(wal, BLOCK_BYTES);
    if (!block) {
        return err_set(reterr, PYR_ERR_NO_MEMORY, "no memory to create '%s'", wal->folder);
    }
    enum pyr_err err = PYR_OK;
    for (uint32_t index = 0; index < wal->files.count && err == PYR_OK; index++) {
        struct wal_file *file = &wal->files.rows[index];
        int error = wal_disk_read(wal->io, file->file, (struct bytes_mut){block, BLOCK_BYTES},
                                  WAL_FILE_DATA_POSITION);
        struct wal_flush_header header;
        uint64_t place = file->generation * wal->identity.file_bytes + WAL_FILE_DATA_POSITION;
        if (error != 0) {
            err = err_set_errno(reterr, error, "read a file of '%s'", wal->folder);
        } else if (wal_flush_header_decode(&wal->identity, place, block, &header)) {
            err = err_set(reterr, PYR_ERR_CORRUPT, "'%s/run' is missing, but flushes are there",
                          wal->folder);
        }
    }
    io_free(wal->io, block);
    return err;
}

/* Make the first file of a new journal. */
static enum pyr_err create_first_file(struct wal *wal, struct pyr_error *reterr)
{
    ASSERT(wal->files.count == 0);

    wal->prepare.zeros = memory_take(wal, wal_zero_bytes(&wal->identity) + BLOCK_BYTES);
    if (!wal->prepare.zeros) {
        return err_set(reterr, PYR_ERR_NO_MEMORY, "no memory to create '%s'", wal->folder);
    }
    wal->prepare.block = wal->prepare.zeros + wal_zero_bytes(&wal->identity);
    bool has_place = wal_prepare_begin(&wal->files, &wal->prepare);
    ASSERT(has_place);
    wal_prepare_run(&wal->prepare);
    wal_prepare_end(&wal->files, &wal->prepare);
    io_free(wal->io, wal->prepare.zeros);
    wal->prepare.zeros = NULL;
    if (wal->prepare.err != PYR_OK && reterr) {
        *reterr = wal->prepare.reason;
    }
    return wal->prepare.err;
}

static enum pyr_err create_folder(struct wal *wal, struct pyr_error *reterr)
{
    ASSERT(wal->options.may_create);
    ASSERT(wal->folder[0] != 0);

    int error = io_make_folder(wal->io, wal->folder);
    if (error != 0 && error != EEXIST) {
        return err_set_errno(reterr, error, "make folder '%s'", wal->folder);
    }
    char parent[PATH_BYTES_MAX];
    (void)snprintf(parent, sizeof parent, "%s", wal->folder);
    char *slash = strrchr(parent, '/');
    if (slash) {
        *slash = '\0';
    }
    const char *name = !slash ? "." : (slash == parent ? "/" : parent);
    error = io_sync_folder(wal->io, name);
    return error == 0 ? PYR_OK : err_set_errno(reterr, error, "sync folder '%s'", name);
}

/* Make the journal; wal->files is open afterwards and closed again. */
static enum pyr_err create(struct wal *wal, struct pyr_error *reterr)
{
    ASSERT(wal->options.may_create);
    ASSERT(wal->state == WAL_STATE_REPLAYING);

    wal->identity.file_bytes = wal->options.file_bytes;
    enum pyr_err err = create_folder(wal, reterr);
    if (err != PYR_OK) {
        return err;
    }
    err = wal_files_open(&wal->files,
                         &(struct wal_files_options){
                             .io = wal->io,
                             .folder = wal->folder,
                             .identity = &wal->identity,
                             .rows_max = WAL_FILES_MIN,
                             .without_direct = wal->options.without_direct,
                         },
                         reterr);
    if (err == PYR_OK) {
        err = create_check(wal, reterr);
    }
    if (err == PYR_OK && wal->files.count == 0) {
        err = create_first_file(wal, reterr);
    }
    struct wal_file *first = err == PYR_OK ? wal_files_after(&wal->files, 0) : NULL;
    if (first) {
        struct wal_checkpoint checkpoint = {
            .file_bytes = wal->identity.file_bytes,
            .resume.position =
                first->generation * wal->identity.file_bytes + WAL_FILE_DATA_POSITION,
        };
        err = wal_checkpoint_write(wal->io, wal->folder, &wal->identity, &checkpoint, reterr);
    }
    if (err == PYR_OK) {
        err = wal_run_write(wal->io, wal->folder, &wal->identity, &(struct wal_run){0}, reterr);
    }
    wal_files_close(&wal->files);
    return err;
}

/* -- Opening -- */

static enum pyr_err folder_check(struct wal *wal, struct pyr_error *reterr)
{
    ASSERT(wal->folder[0] != 0);
    ASSERT(wal->state == WAL_STATE_REPLAYING);

    struct io_stat stat;
    int error = io_stat(wal->io, wal->folder, &stat);
    if (error == ENOENT && wal->options.may_create) {
        return PYR_OK;
    }
    if (error == ENOENT) {
        return err_set(reterr, PYR_ERR_CORRUPT, "the journal '%s' is missing", wal->folder);
    }
    if (error != 0) {
        return err_set_errno(reterr, error, "open the journal '%s'", wal->folder);
    }
    if (stat.kind != IO_KIND_FOLDER) {
        return err_set(reterr, PYR_ERR_INVALID, "'%s' is not a folder", wal->folder);
    }
    if (stat.block_bytes > BLOCK_BYTES) {
        return err_set(reterr, PYR_ERR_UNSUPPORTED,
                       "'%s' lies on a device with blocks of %u bytes; at most %d are supported",
                       wal->folder, stat.block_bytes, BLOCK_BYTES);
    }
    return PYR_OK;
}

/* Tell the files that the chain may be in from those that hold nothing needed. */
static enum pyr_err files_classify(struct wal *wal, struct pyr_error *reterr)
{
    ASSERT(wal->resume.position >= wal->identity.file_bytes);

    uint64_t generation = wal_generation_of(&wal->identity, wal->resume.position);
    for (uint32_t index = 0; index < wal->files.count; index++) {
        struct wal_file *file = &wal->files.rows[index];
        bool is_free = file->generation < generation || file->is_half;
        file->state = is_free ? WAL_FILE_FREE : WAL_FILE_USED;
    }
    const struct wal_file *first = wal_files_find(&wal->files, generation);
    if (!first || first->state == WAL_FILE_FREE) {
        return err_set(reterr, PYR_ERR_CORRUPT,
                       "'%s': the file of generation %llu, where replay begins, is missing",
                       wal->folder, (unsigned long long)generation);
    }
    ASSERT(wal->files.generation_next > generation);
    return PYR_OK;
}

/* Read run and checkpoint and open the files; creates them first if need be. */
static enum pyr_err journal_read(struct wal *wal, struct pyr_error *reterr)
{
    ASSERT(wal->files.count == 0);
    ASSERT(!wal->twin.memory);

    struct wal_run run = {0};
    enum pyr_err err = wal_run_read(wal->io, wal->folder, &wal->identity, &run, reterr);
    if (err == PYR_ERR_NOT_FOUND && wal->options.may_create) {
        err = create(wal, reterr);
        if (err == PYR_OK) {
            err = wal_run_read(wal->io, wal->folder, &wal->identity, &run, reterr);
        }
    }
    if (err == PYR_ERR_NOT_FOUND) {
        return err_set(reterr, PYR_ERR_CORRUPT, "'%s/run' is missing", wal->folder);
    }
    if (err != PYR_OK) {
        return err;
    }
    struct wal_checkpoint checkpoint;
    err =
        wal_checkpoint_read(wal->io, wal->folder, &wal->identity, &checkpoint, &wal->twin, reterr);
    if (err != PYR_OK) {
        /* It was there when `run` was written. */
        return err == PYR_ERR_NOT_FOUND
                   ? err_set(reterr, PYR_ERR_CORRUPT, "'%s/checkpoint' is missing", wal->folder)
                   : err;
    }
    wal->run = run.run;
    wal->resume = checkpoint.resume;
    wal->checkpoint.number = checkpoint.number;
    wal->identity.file_bytes = checkpoint.file_bytes;
    wal->options.file_bytes = checkpoint.file_bytes;
    wal->body = checkpoint.body;
    wal->replay_durable_upto = checkpoint.durable_upto;
    err = wal_files_open(&wal->files,
                         &(struct wal_files_options){
                             .io = wal->io,
                             .folder = wal->folder,
                             .identity = &wal->identity,
                             .rows_max = wal->options.files_max + WAL_FILES_RESERVED,
                             .without_direct = wal->options.without_direct,
                         },
                         reterr);
    if (err == PYR_OK && wal->files.count < run.files) {
        return err_set(reterr, PYR_ERR_CORRUPT, "'%s': %u journal files of %llu are there",
                       wal->folder, wal->files.count, (unsigned long long)run.files);
    }
    return err == PYR_OK ? files_classify(wal, reterr) : err;
}

enum pyr_err wal_open(struct io_loop *loop,
                      const struct wal_options *options,
                      struct wal **ret_wal,
                      struct pyr_error *reterr)
{
    ASSERT(ret_wal);
    ASSERT(loop);
    ASSERT(options->folder);

    struct io *io = io_loop_io(loop);
    struct wal *wal = io_alloc(io, sizeof *wal, _Alignof(struct wal));
    if (!wal) {
        return err_set(reterr, PYR_ERR_NO_MEMORY, "no memory for a journal");
    }
    wal->loop = loop;
    wal->io = io;
    wal->options = options_default(options);
    wal_timers_init(wal);
    (void)snprintf(wal->folder, sizeof wal->folder, "%s", options->folder);
    wal->identity.shard = options->shard;
    memcpy(wal->identity.storage_id, options->storage_id, WAL_STORAGE_ID_BYTES);

    enum pyr_err err = options_check(&wal->options, reterr);
    wal->options.folder = wal->folder;
    if (err == PYR_OK) {
        err = folder_check(wal, reterr);
    }
    if (err == PYR_OK) {
        err = journal_read(wal, reterr);
    }
    if (err == PYR_OK) {
        err = options_fit(wal, reterr);
    }
    if (err == PYR_OK) {
        err = memory_alloc(wal, reterr);
    }
    if (err != PYR_OK) {
        wal_destroy(wal);
        return err;
    }
    wal_replay_init(&wal->replay, &(struct wal_replay_options){
                                      .files = &wal->files,
                                      .loop = wal->loop,
                                      .start = wal->resume,
                                      .checkpoint_number = wal->checkpoint.number,
                                      .checkpoint_durable_upto = wal->replay_durable_upto,
                                      .has_run = true,
                                      .run = wal->run,
                                      .verify = options->verify,
                                      .verify_ctx = options->verify_ctx,
                                  });
    *ret_wal = wal;
    return PYR_OK;
}

struct bytes wal_checkpoint_body(const struct wal *wal)
{
    ASSERT(wal->body.data || wal->body.count == 0);
    ASSERT(wal->state == WAL_STATE_REPLAYING);

    return wal->body;
}

/* -- Replaying and starting -- */

enum pyr_err wal_replay_next(struct wal *wal,
                             const struct wal_replay_entry **ret_entry,
                             struct pyr_error *reterr)
{
    ASSERT(ret_entry);
    ASSERT(wal->state == WAL_STATE_REPLAYING);

    enum pyr_err err = wal_replay_entry_next(&wal->replay, ret_entry, reterr);
    if (err != PYR_OK || !*ret_entry) {
        return err;
    }
    /* The run of the flush before is not at hand; that of this one is as good a bound. */
    const struct wal_flush_header *header = &wal->replay.header;
    wal_landmark_add(wal, &(struct wal_link){
                              .position = header->position,
                              .sequence = header->sequence - 1,
                              .run = header->run,
                              .checksum = header->previous_checksum,
                              .used = header->previous_used,
                          });
    return PYR_OK;
}

int64_t wal_replay_where(const struct wal *wal,
                         const struct wal_replay_entry *entry,
                         char path[PATH_BYTES_MAX])
{
    ASSERT(wal->state == WAL_STATE_REPLAYING);
    ASSERT(entry == &wal->replay.entry);

    const struct wal_identity *identity = &wal->files.identity;
    const struct wal_file *file =
        wal_files_find(&wal->files, wal_generation_of(identity, entry->position));
    ASSERT(file); /* It has just been read. */
    wal_files_path(&wal->files, file->slot, path);
    return wal_file_position_of(identity, entry->position);
}

void wal_replay_report(const struct wal *wal, struct wal_replay_report *ret_report)
{
    ASSERT(wal->replay.report.position > 0);
    ASSERT(ret_report);

    *ret_report = wal->replay.report;
}

/* Make spares of the files behind the end of the chain, and the one it ends in the active one. */
static enum pyr_err files_settle(struct wal *wal, struct pyr_error *reterr)
{
    uint64_t generation = wal_generation_of(&wal->identity, wal->link.position);
    for (uint32_t index = 0; index < wal->files.count; index++) {
        struct wal_file *file = &wal->files.rows[index];
        if (file->state == WAL_FILE_USED && file->generation > generation) {
            /* What it holds is of lower runs from now on. */
            file->state = file->headers_bad > 0 ? WAL_FILE_FREE : WAL_FILE_READY;
        }
        bool is_ill = file->state == WAL_FILE_USED && file->headers_bad > 0;
        enum pyr_err err = is_ill ? wal_files_heal(&wal->files, file, reterr) : PYR_OK;
        if (err != PYR_OK) {
            return err;
        }
    }
    wal->active = wal_files_find(&wal->files, generation);
    ASSERT(wal->active);
    ASSERT(wal->active->state == WAL_FILE_USED);
    return PYR_OK;
}

enum pyr_err wal_start(struct wal *wal, struct pyr_error *reterr)
{
    ASSERT(wal->state == WAL_STATE_REPLAYING);
    ASSERT(wal->replay.is_ended);

    wal->link = wal->replay.link;
    if (wal->link.run > wal->run) {
        return err_set(reterr, PYR_ERR_CORRUPT,
                       "'%s/run' says %llu, but the journal was written by run %llu", wal->folder,
                       (unsigned long long)wal->run, (unsigned long long)wal->link.run);
    }
    enum pyr_err err = files_settle(wal, reterr);
    if (err != PYR_OK) {
        return err;
    }
    struct wal_run run = {
        .run = wal->run + 1,
        .random = io_random_seed(wal->io),
        .files = wal->files.count,
    };
    err = wal_run_write(wal->io, wal->folder, &wal->identity, &run, reterr);
    if (err != PYR_OK) {
        return err;
    }
    wal->run = run.run; /* WAL-7 */
    wal->tail_end = wal->replay.good_end;
    wal->entries_end = wal->tail_end;
    wal->written_position = wal->tail_end;
    wal->durable_position = wal->tail_end; /* Synced at the opening, before it was read. */
    wal->is_last_empty = wal->replay.report.flushes == 0 || wal->replay.is_last_empty;
    wal->is_prepare_due = true;
    wal->body = (struct bytes){0};
    wal_twin_free(wal->io, &wal->twin);
    struct wal_replay_report report = wal->replay.report;
    wal_replay_deinit(&wal->replay);
    wal->replay.report = report;
    wal_state_set(wal, WAL_STATE_OPEN);
    wal_pump(wal);
    return PYR_OK;
}

void wal_destroy(struct wal *wal)
{
    if (!wal) {
        return;
    }
    ASSERT(wal->state == WAL_STATE_REPLAYING || wal_is_quiet(wal));

    wal_replay_deinit(&wal->replay);
    if (wal->twin.memory) {
        wal_twin_free(wal->io, &wal->twin);
    }
    wal_files_close(&wal->files);
    memory_free(wal);
    io_free(wal->io, wal);
}
