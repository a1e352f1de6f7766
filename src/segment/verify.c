/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/verify - the pass over a folder.
 *
 * A sealed segment is read like a reader would, from its first batch to its END point; the last
 * one, which may have no END point, is walked for as long as batches are good, without a point to
 * hold it against but those it has.
 */
#include "segment/verify.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "segment/read.h"
#include "segment/rebuild.h"

/* The pass over a folder. */
struct pass {
    struct io *io;
    const char *folder;
    struct segment_verdict *verdict;
    int64_t *bases;
    size_t count;
    struct segment_point end; /* Of the segment before; the appended history's digest. */
    bool has_end;
    struct bytes_mut buffer;
    int64_t offset_end; /* What is synced ends here, says the owner; -1: it does not. */
};

static void find(struct pass *pass, enum pyr_err err, int64_t segment, const char *text)
{
    ASSERT(err != PYR_OK);
    ASSERT(text);
    ASSERT(pass->verdict);

    struct segment_verdict *verdict = pass->verdict;
    if (pass->offset_end >= 0 && segment >= pass->offset_end) {
        return; /* What a crash left of it is cut, and comes from the journal again. */
    }
    if (verdict->finding_count < SEGMENT_FINDINGS_MAX) {
        struct segment_finding *finding = &verdict->findings[verdict->finding_count];
        finding->err = err;
        finding->segment = segment;
        (void)snprintf(finding->text, sizeof finding->text, "%.255s", text);
    }
    verdict->finding_count++;
}

/* Note that there is @what about the file of segment @base that ends in @ending. */
static void find_in(struct pass *pass, int64_t base, const char *ending, const char *what)
{
    char text[PATH_BYTES_MAX + 256];
    ASSERT(base >= 0);
    ASSERT(what);

    (void)snprintf(text, sizeof text, "'%s/%020" PRId64 "%s': %s", pass->folder, base, ending,
                   what);
    find(pass, PYR_ERR_CORRUPT, base, text);
}

/* Sort one name; @pass has room for its base. */
static void sort_name(struct pass *pass, const char *name)
{
    int64_t base = 0;
    enum segment_kind kind = SEGMENT_KIND_LOG;
    enum segment_suffix suffix = SEGMENT_SUFFIX_NONE;
    bool is_segment = segment_name_parse(name, &base, &kind, &suffix);
    bool is_own = strcmp(name, SEGMENT_EPOCH_FILE_NAME) == 0 ||
                  strcmp(name, SEGMENT_METADATA_FILE_NAME) == 0 ||
                  strcmp(name, SEGMENT_DELETED_FILE_NAME) == 0 ||
                  strcmp(name, SEGMENT_FOLD_FILE_NAME) == 0 ||
                  strcmp(name, SEGMENT_QUARANTINE_NAME) == 0;
    if (is_segment && suffix == SEGMENT_SUFFIX_NONE) {
        if (kind == SEGMENT_KIND_LOG) {
            pass->bases[pass->count++] = base;
        }
    } else if (is_segment || strcmp(name, SEGMENT_PREPARED_FILE_NAME) == 0) {
        pass->verdict->unfinished++;
    } else if (!is_own) {
        pass->verdict->unknown++;
    }
}

/* Sort the names: segments to @pass, the rest to the counters. */
static enum pyr_err list_names(struct pass *pass, struct pyr_error *reterr)
{
    ASSERT(!pass->bases);
    ASSERT(pass->count == 0);

    struct io_entries entries = {0};
    int number = io_list(pass->io, pass->folder, &entries);
    if (number != 0) {
        return err_set_errno(reterr, number, "list '%s'", pass->folder);
    }
    pass->bases = io_alloc(pass->io, (entries.count + 1) * sizeof *pass->bases, sizeof(int64_t));
    for (size_t index = 0; index < entries.count && pass->bases; index++) {
        sort_name(pass, entries.rows[index].name);
    }
    io_entries_free(pass->io, &entries);
    return pass->bases ? PYR_OK : err_set(reterr, PYR_ERR_NO_MEMORY, "no memory to verify");
}

/* Read a segment whose shape is known from its first batch to its last. */
static enum pyr_err read_through(struct pass *pass, struct segment_view *view)
{
    ASSERT(pass->buffer.data);
    ASSERT(!view->use_mmap);

    struct pyr_error error = {0};
    struct segment_cursor cursor = {0};
    int64_t offset = view->shape.identity.offset_base;
    enum pyr_err err = PYR_OK;
    while (err == PYR_OK && offset < view->shape.end.offset) {
        struct segment_run run = {0};
        struct segment_read want = {
            .offset = offset,
            .offset_end = INT64_MAX,
            .bytes_max = pass->buffer.count,
            .buffer = pass->buffer,
            .cursor = &cursor,
        };
        err = segment_view_read(view, &want, &run, &error);
        if (err == PYR_OK) {
            offset = run.offset_next;
            pass->verdict->batches += run.batches;
            pass->verdict->records += run.records;
            pass->verdict->bytes += run.data.count;
        }
    }
    if (err != PYR_OK) {
        find(pass, err, view->shape.identity.offset_base, error.message);
    }
    return err == PYR_ERR_NO_MEMORY || err == PYR_ERR_IO ? err : PYR_OK;
}

/* Check that @shape goes on where the segment before it ended. */
static void check_joined(struct pass *pass, const struct segment_shape *shape)
{
    ASSERT(shape->identity.offset_base >= 0);
    ASSERT(pass->verdict);

    char text[128];
    if (!pass->has_end) {
        return;
    }
    if (shape->start.offset != pass->end.offset) {
        (void)snprintf(text, sizeof text,
                       "offsets %" PRId64 " to %" PRId64 " before it are missing", pass->end.offset,
                       shape->start.offset - 1);
        find_in(pass, shape->identity.offset_base, ".log", text);
    } else if (shape->start.digest != pass->end.digest || shape->start.epoch != pass->end.epoch) {
        find_in(pass, shape->identity.offset_base, ".digest",
                "it does not go on where the segment before it ends");
    }
}

static enum pyr_err verify_sealed(struct pass *pass, const struct segment_shape *shape)
{
    ASSERT(pass->buffer.data);
    ASSERT(shape->point_count > shape->history_count);

    struct segment_view view = {.serial = 1,
                                .shape = *shape,
                                .io = pass->io,
                                .folder = pass->folder};
    struct pyr_error error = {0};
    uint32_t wrong = 0;
    enum pyr_err err = read_through(pass, &view);
    segment_handle_release(view.handle);
    if (err != PYR_OK) {
        return err;
    }
    err = segment_rebuild_index(pass->io, pass->folder, shape, true, &wrong, &error);
    if (err == PYR_ERR_NO_MEMORY) {
        return err;
    }
    if (err != PYR_OK) {
        find(pass, PYR_ERR_CORRUPT, shape->identity.offset_base, error.message);
    } else if (wrong > 0) {
        find_in(pass, shape->identity.offset_base, "",
                "an index file is missing or wrong (opening makes it anew)");
    }
    pass->verdict->cleaned += shape->is_cleaned;
    pass->end = shape->end;
    pass->end.digest = shape->history_digest;
    pass->has_end = true;
    return PYR_OK;
}

/* Walk a segment without an END point for as long as its batches are good. */
static enum pyr_err verify_open(struct pass *pass, const struct segment_shape *seen, bool is_last)
{
    ASSERT(seen->identity.offset_base >= 0);
    ASSERT(pass->count > 0);

    struct pyr_error error = {0};
    struct segment_point start = pass->has_end ? pass->end : seen->start;
    int64_t offset_base = seen->identity.offset_base;
    if (seen->is_cleaned || (!pass->has_end && !(seen->start.kind & SEGMENT_POINT_START))) {
        find_in(pass, offset_base, ".digest", "it is missing or damaged");
        pass->has_end = false;
        return PYR_OK;
    }
    if (start.offset != offset_base) {
        pass->has_end = false;
        return PYR_OK; /* The gap was found already. */
    }
    struct segment_rebuild rebuild = {
        .io = pass->io,
        .folder = pass->folder,
        .shape = segment_shape_after(&seen->identity.log, &start, start.clock_ms),
        .offset_trusted = offset_base,
        .offset_end = offset_base,
        .may_pass = true,
        .is_dry = true,
    };
    enum pyr_err err = segment_rebuild(&rebuild, &error);
    if (err == PYR_ERR_NO_MEMORY || err == PYR_ERR_IO) {
        return err;
    }
    if (err != PYR_OK) {
        find(pass, err, offset_base, error.message);
        pass->has_end = false;
        return PYR_OK;
    }
    pass->verdict->batches += rebuild.batches;
    pass->verdict->records += rebuild.records;
    pass->verdict->bytes += rebuild.bytes_scanned;
    pass->verdict->bytes_behind = rebuild.bytes_behind;
    /* An END point is there before a sync goes past it. */
    bool must_be_sealed = pass->offset_end < 0 || rebuild.shape.end.offset < pass->offset_end;
    if (!is_last && must_be_sealed) {
        find_in(pass, offset_base, ".digest", "it is missing or damaged");
    }
    pass->end = rebuild.shape.end;
    pass->has_end = true;
    return PYR_OK;
}

static enum pyr_err verify_segment(struct pass *pass, size_t index, struct pyr_error *reterr)
{
    ASSERT(pass->bases);
    ASSERT(index < pass->count);

    struct segment_identity identity = {.log = pass->verdict->metadata.log,
                                        .offset_base = pass->bases[index]};
    enum segment_look look = SEGMENT_LOOK_BAD;
    struct segment_shape shape;
    enum pyr_err err = segment_look_at(pass->io, pass->folder, &identity, &look, &shape, reterr);
    if (err != PYR_OK) {
        return err;
    }
    pass->verdict->segments++;
    if (shape.start.kind & SEGMENT_POINT_START) {
        check_joined(pass, &shape);
    }
    if (look == SEGMENT_LOOK_GOOD || look == SEGMENT_LOOK_INDEX_BAD) {
        return verify_sealed(pass, &shape);
    }
    return verify_open(pass, &shape, index + 1 == pass->count);
}

/* Hold what was found against what the owner says is there: @offset_start to @offset_end. */
static void check_ends(struct pass *pass, int64_t offset_start, int64_t offset_end)
{
    char text[PATH_BYTES_MAX + 128];
    const struct segment_verdict *verdict = pass->verdict;
    ASSERT(verdict->offset_start >= 0);
    ASSERT(offset_start <= offset_end);

    if (pass->count > 0 && verdict->offset_start > offset_start && offset_start >= 0) {
        (void)snprintf(text, sizeof text,
                       "'%s' begins at offset %" PRId64 ", but should hold %" PRId64, pass->folder,
                       verdict->offset_start, offset_start);
        find(pass, PYR_ERR_CORRUPT, -1, text);
    }
    if (verdict->offset_end < offset_end) {
        (void)snprintf(text, sizeof text,
                       "'%s': the good batches end at offset %" PRId64
                       ", but should reach %" PRId64,
                       pass->folder, verdict->offset_end, offset_end);
        find(pass, PYR_ERR_CORRUPT, -1, text);
    }
}

enum pyr_err segment_verify_folder(struct io *io,
                                   const char *folder,
                                   int64_t offset_start,
                                   int64_t offset_end,
                                   struct segment_verdict *ret_verdict,
                                   struct pyr_error *reterr)
{
    ASSERT(folder);
    ASSERT(ret_verdict);

    char text[PATH_BYTES_MAX + 64];
    struct pass pass = {.io = io,
                        .folder = folder,
                        .verdict = ret_verdict,
                        .offset_end = offset_end};
    *ret_verdict = (struct segment_verdict){.offset_start = -1};
    enum pyr_err err = segment_log_identify(io, folder, &ret_verdict->metadata, reterr);
    if (err == PYR_ERR_CORRUPT) {
        (void)snprintf(text, sizeof text, "'%s/%s' is damaged", folder, SEGMENT_METADATA_FILE_NAME);
        find(&pass, err, -1, text);
        return PYR_OK;
    }
    if (err == PYR_OK) {
        err = list_names(&pass, reterr);
    }
    if (err != PYR_OK) {
        return err;
    }
    pass.buffer = (struct bytes_mut){.data = io_alloc(io, BATCH_BYTES_MAX, BLOCK_BYTES),
                                     .count = BATCH_BYTES_MAX};
    if (!pass.buffer.data) {
        err = err_set(reterr, PYR_ERR_NO_MEMORY, "no memory to verify '%s'", folder);
    }
    for (size_t index = 0; index < pass.count && err == PYR_OK; index++) {
        err = verify_segment(&pass, index, reterr);
    }
    ret_verdict->offset_start = pass.count ? pass.bases[0] : 0;
    ret_verdict->offset_end = pass.has_end ? pass.end.offset : ret_verdict->offset_start;
    ret_verdict->digest = pass.end.digest;
    if (err == PYR_OK) {
        check_ends(&pass, offset_start, offset_end);
    }
    io_free(io, pass.buffer.data);
    io_free(io, pass.bases);
    return err;
}
