/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/recover - making a log's folder, and opening it after whatever happened.
 *
 * Part of the path:  checkpoint, journal -> claim -> [recover] -> log
 *
 * The owner says where the log starts and ends; opening finds the files that bear it out. Work goes
 * by what was not synced: of a sealed segment only the ends of its four files are looked at, of the
 * last one the points, and the batches behind the last point below the claim.
 *
 *        start                     claimed end
 *   | x | =====sealed===== | =sealed= | ==open=|....| x |
 *     ^ removed: whole below start             ^    ^ beyond the claim: cut, or scanned and
 *                                              |      taken over if the claim allows it
 *                                              must be met exactly
 *
 * Order: what unfinished work left is cleared; then everything that the claim covers is held
 * against it, and only when that is borne out are the files beyond it cut or removed.
 *
 * Failure modes: the claim is not met -> PYR_ERR_CORRUPT, no .log was changed
 *
 * Invariants:
 *   SEG-10  No batch below the claimed end is cut, and none beyond it is taken over unless the
 *           claim allows a scan.
 *
 * Threads: one.   Reference: docs/design/segment.md.
 *
 * Length: one order of steps, which a reader of a recovery wants on one page.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "io/transfer.h"
#include "segment/rebuild.h"
#include "segment/remove.h"
#include "segment/state.h"
#include "segment/tail.h"
#include "segment/writer.h"

/* -- The folder -- */

enum pyr_err segment_log_create(struct io *io,
                                const char *folder,
                                const struct segment_metadata *metadata,
                                struct pyr_error *reterr)
{
    ASSERT(folder);
    ASSERT(metadata);

    char text[SEGMENT_METADATA_BYTES_MAX];
    struct io_stat stat;
    char path[PATH_BYTES_MAX];

    if (!segment_path_join(path, folder, SEGMENT_METADATA_FILE_NAME)) {
        return err_set(reterr, PYR_ERR_INVALID, "the path of '%s' is too long", folder);
    }
    if (io_stat(io, path, &stat) == 0) {
        return err_set(reterr, PYR_ERR_EXISTS, "'%s' is a log's folder already", folder);
    }
    int number = io_make_folder(io, folder);
    if (number != 0 && number != EEXIST) {
        return err_set_errno(reterr, number, "make the folder '%s'", folder);
    }
    size_t count = segment_metadata_put(text, metadata);
    return segment_file_replace(io, folder, SEGMENT_METADATA_FILE_NAME,
                                (struct bytes){.data = (const uint8_t *)text, .count = count},
                                reterr);
}

enum pyr_err segment_log_identify(struct io *io,
                                  const char *folder,
                                  struct segment_metadata *ret_metadata,
                                  struct pyr_error *reterr)
{
    ASSERT(folder);
    ASSERT(ret_metadata);

    char path[PATH_BYTES_MAX];
    uint8_t text[SEGMENT_METADATA_BYTES_MAX];
    struct io_file *file = NULL;
    size_t count = 0;
    if (!segment_path_join(path, folder, SEGMENT_METADATA_FILE_NAME)) {
        return err_set(reterr, PYR_ERR_INVALID, "the path of '%s' is too long", folder);
    }
    int number = io_open(io, path, IO_OPEN_READ, &file);
    if (number == ENOENT) {
        return err_set(reterr, PYR_ERR_NOT_FOUND, "'%s' is no log's folder: it has no %s", folder,
                       SEGMENT_METADATA_FILE_NAME);
    }
    if (number == 0) {
        number = io_read_whole(io, file, (struct bytes_mut){.data = text, .count = sizeof text}, 0,
                               &count);
        io_close(io, file);
    }
    if (number != 0) {
        return err_set_errno(reterr, number, "read '%s'", path);
    }
    enum pyr_err err =
        segment_metadata_get((struct bytes){.data = text, .count = count}, ret_metadata);
    if (err != PYR_OK) {
        return err_set(reterr, err, "'%s': %s", path, err_text(err));
    }
    return PYR_OK;
}

/* -- One recovery under way -- */

struct recovery {
    struct segment_log *log;
    const struct segment_claim *claim;
    struct segment_report *report;
    struct pyr_error *reterr;
    struct segment_bases bases;
    size_t next;              /* Of the bases: the next to be looked at. */
    struct segment_point end; /* Where the log stands so far, of the appended history. */
    bool has_end;             /* There is a segment before. */
    bool is_over;             /* The end is found; what follows is beyond it. */
};

static enum pyr_err no_memory(struct recovery *recovery)
{
    ASSERT(recovery->log);

    return err_set(recovery->reterr, PYR_ERR_NO_MEMORY, "no memory to open '%s'",
                   recovery->log->folder);
}

/* Add the segment that @shape tells of to the log. */
static enum pyr_err add_segment(struct recovery *recovery,
                                const struct segment_shape *shape,
                                enum segment_state state)
{
    ASSERT(shape->is_cleaned == (state == SEGMENT_STATE_CLEANED));
    ASSERT(recovery->has_end == (recovery->log->count > 0));

    struct segment_log *log = recovery->log;
    if (segment_log_reserve(log, 1) != PYR_OK) {
        return no_memory(recovery);
    }
    struct segment *segment = segment_create(log->io, shape, state);
    if (!segment) {
        return no_memory(recovery);
    }
    segment_log_push(log, segment);
    recovery->end = segment_log_point(log);
    recovery->has_end = true;
    recovery->report->segments++;
    ASSERT(recovery->end.offset == shape->end.offset);
    return PYR_OK;
}

/* Whether @shape begins where the segment before it ended (SEG-7). */
static bool is_joined(const struct recovery *recovery, const struct segment_shape *shape)
{
    ASSERT(shape->identity.offset_base >= 0);
    ASSERT(recovery->end.offset >= 0);

    if (!recovery->has_end) {
        return true;
    }
    const struct segment_point *end = &recovery->end;
    bool is_same_offset =
        shape->start.offset == end->offset && shape->identity.offset_base == end->offset;
    return is_same_offset && shape->start.digest == end->digest && shape->start.epoch == end->epoch;
}

/* Refuse a segment whose own word on how it starts is whole, and not what the one before it ends
 * with. */
static enum pyr_err check_joined(struct recovery *recovery, const struct segment_shape *seen)
{
    ASSERT(seen->identity.offset_base >= 0);

    bool is_known = (seen->start.kind & SEGMENT_POINT_START) != 0;
    if (!is_known || is_joined(recovery, seen)) {
        return PYR_OK;
    }
    return err_set(recovery->reterr, PYR_ERR_CORRUPT,
                   "'%s/%020" PRId64 ".digest' does not go on where the segment before it ends, at "
                   "offset %" PRId64,
                   recovery->log->folder, seen->identity.offset_base, recovery->end.offset);
}

/* -- Sealed segments -- */

/* Make the side files of a segment anew that should be sealed and end at @offset_end. */
static enum pyr_err remake_sealed(struct recovery *recovery,
                                  int64_t offset_base,
                                  int64_t offset_end,
                                  const struct segment_shape *seen,
                                  struct segment_shape *ret_shape)
{
    ASSERT(offset_base >= 0);
    ASSERT(offset_end > offset_base);

    struct segment_log *log = recovery->log;
    struct segment_point start = recovery->has_end ? recovery->end : seen->start;
    bool is_known =
        recovery->has_end || (seen->start.kind & SEGMENT_POINT_START) != 0 || offset_base == 0;
    if (seen->is_cleaned || !is_known) {
        return err_set(recovery->reterr, PYR_ERR_CORRUPT,
                       "'%s/%020" PRId64 ".digest' is missing or damaged, and what it says is not "
                       "known from elsewhere",
                       log->folder, offset_base);
    }
    if (!recovery->has_end && !(seen->start.kind & SEGMENT_POINT_START)) {
        start = (struct segment_point){.digest = SEGMENT_DIGEST_FIRST, .epoch = -1};
    }
    if (start.offset != offset_base) {
        return err_set(recovery->reterr, PYR_ERR_CORRUPT, "'%s': no segment holds offset %" PRId64,
                       log->folder, start.offset);
    }
    struct segment_rebuild rebuild = {
        .io = log->io,
        .folder = log->folder,
        .shape = segment_shape_after(&log->log, &start, start.clock_ms),
        .offset_trusted = offset_end,
        .offset_end = offset_end,
        .is_sealed = true,
    };
    enum pyr_err err = segment_rebuild(&rebuild, recovery->reterr);
    if (err != PYR_OK) {
        return err;
    }
    recovery->report->batches += rebuild.batches;
    recovery->report->records += rebuild.records;
    recovery->report->bytes_scanned += rebuild.bytes_scanned;
    recovery->report->indexes_rebuilt += rebuild.rebuilt > 0 ? rebuild.rebuilt : 1;
    *ret_shape = rebuild.shape;
    ASSERT(rebuild.shape.end.offset == offset_end);
    return PYR_OK;
}

/* Take a segment that another follows, and that lies whole below the claimed end. */
static enum pyr_err take_sealed(struct recovery *recovery, int64_t offset_base, int64_t offset_next)
{
    ASSERT(offset_base >= 0);
    ASSERT(offset_next > offset_base);
    ASSERT(!recovery->is_over);

    struct segment_log *log = recovery->log;
    struct segment_identity identity = {.log = log->log, .offset_base = offset_base};
    enum segment_look look = SEGMENT_LOOK_BAD;
    struct segment_shape shape;
    enum pyr_err err =
        segment_look_at(log->io, log->folder, &identity, &look, &shape, recovery->reterr);
    if (err != PYR_OK) {
        return err;
    }
    err = check_joined(recovery, &shape);
    if (err != PYR_OK) {
        return err;
    }
    bool is_whole = (look == SEGMENT_LOOK_GOOD || look == SEGMENT_LOOK_INDEX_BAD) &&
                    shape.end.offset == offset_next;
    if (!is_whole) {
        err = remake_sealed(recovery, offset_base, offset_next, &shape, &shape);
    } else if (look == SEGMENT_LOOK_INDEX_BAD) {
        uint32_t rebuilt = 0;
        err =
            segment_rebuild_index(log->io, log->folder, &shape, false, &rebuilt, recovery->reterr);
        recovery->report->indexes_rebuilt += rebuilt;
    }
    if (err != PYR_OK) {
        return err;
    }
    ASSERT(shape.end.offset == offset_next);
    return add_segment(recovery, &shape,
                       shape.is_cleaned ? SEGMENT_STATE_CLEANED : SEGMENT_STATE_SEALED);
}

/* -- The segment of the claimed end, and those behind it -- */

static enum pyr_err check_claim(struct recovery *recovery, const struct segment_rebuild *rebuild)
{
    ASSERT(rebuild->shape.end.offset >= rebuild->shape.start.offset);
    ASSERT(!rebuild->shape.is_cleaned);

    const struct segment_claim *claim = recovery->claim;
    const struct segment_shape *shape = &rebuild->shape;
    bool is_exact = shape->end.offset == claim->offset_end && claim->has_end_point;
    if (is_exact && (shape->history_digest != claim->digest || shape->end.epoch != claim->epoch)) {
        return err_set(recovery->reterr, PYR_ERR_CORRUPT,
                       "'%s/%020" PRId64 ".log' up to position %" PRIu32 ", offset %" PRId64
                       ": not the batches that were checkpointed",
                       recovery->log->folder, shape->identity.offset_base, shape->end.position,
                       shape->end.offset);
    }
    return PYR_OK;
}

/* Cut the .log behind the end, and say why if there was more than reserved space. */
static enum pyr_err cut_tail(struct recovery *recovery, struct segment_rebuild *rebuild)
{
    ASSERT(recovery->is_over);
    ASSERT(rebuild->shape.end.offset >= recovery->claim->offset_end); /* SEG-10 */

    struct segment_log *log = recovery->log;
    struct segment_report *report = recovery->report;
    struct io_file *file = NULL;
    enum pyr_err err =
        segment_file_open(log->io,
                          &(struct segment_file_name){
                              log->folder, rebuild->shape.identity.offset_base, SEGMENT_KIND_LOG},
                          IO_OPEN_READ | IO_OPEN_WRITE, &file, recovery->reterr);
    if (err != PYR_OK || !file) {
        return err;
    }
    int number = io_truncate(log->io, file, rebuild->shape.end.position);
    io_close(log->io, file);
    if (number != 0) {
        return err_set_errno(recovery->reterr, number, "cut a segment of '%s'", log->folder);
    }
    rebuild->shape.bytes_allocated = rebuild->shape.end.position;
    report->bytes_cut += rebuild->bytes_behind;
    if (rebuild->bytes_behind > 0 && report->cut_reason[0] == '\0') {
        (void)snprintf(report->cut_reason, sizeof report->cut_reason,
                       "offset %" PRId64 ", position %" PRIu32 ": %s", rebuild->shape.end.offset,
                       rebuild->shape.end.position,
                       rebuild->why[0] ? rebuild->why : "behind the checkpointed end");
    }
    return PYR_OK;
}

/* Where a segment starts: where the one before ended, or what its START point says. */
static enum pyr_err start_of(struct recovery *recovery,
                             int64_t offset_base,
                             const struct segment_shape *seen,
                             struct segment_point *ret_start)
{
    ASSERT(offset_base >= 0);
    ASSERT(ret_start);

    if (recovery->has_end) {
        *ret_start = recovery->end;
    } else if (seen->start.kind & SEGMENT_POINT_START) {
        *ret_start = seen->start;
    } else if (offset_base == 0) {
        *ret_start = (struct segment_point){.digest = SEGMENT_DIGEST_FIRST, .epoch = -1};
    } else {
        return err_set(recovery->reterr, PYR_ERR_CORRUPT,
                       "'%s/%020" PRId64 ".digest' is missing or damaged, and no segment before it "
                       "tells how it starts",
                       recovery->log->folder, offset_base);
    }
    if (ret_start->offset != offset_base) {
        return err_set(recovery->reterr, PYR_ERR_CORRUPT, "'%s': no segment holds offset %" PRId64,
                       recovery->log->folder, ret_start->offset);
    }
    ASSERT(ret_start->offset == offset_base);
    return PYR_OK;
}

/* Bring the tail in line with the claim. If that fails, the block in which the claim ends may have
 * been torn when it was rewritten: try again with each copy of it. */
static enum pyr_err rebuild_tail(struct recovery *recovery, struct segment_rebuild *rebuild)
{
    ASSERT(!rebuild->is_dry);
    ASSERT(!rebuild->is_sealed);

    struct segment_rebuild fresh = *rebuild;
    enum pyr_err err = segment_rebuild(rebuild, recovery->reterr);
    if (err == PYR_OK) {
        err = check_claim(recovery, rebuild);
    }
    for (uint32_t turn = 0; turn < 2 && err == PYR_ERR_CORRUPT; turn++) {
        bool has_changed = false;
        struct pyr_error ignored; /* The first failure says more. */
        if (segment_tail_restore(rebuild->io, rebuild->folder, &rebuild->shape.identity, turn,
                                 &has_changed, &ignored) != PYR_OK ||
            !has_changed) {
            continue;
        }
        *rebuild = fresh;
        if (segment_rebuild(rebuild, &ignored) == PYR_OK &&
            check_claim(recovery, rebuild) == PYR_OK) {
            err = PYR_OK;
        }
    }
    return err;
}

/* Take the segment in which the log ends, or may end. */
static enum pyr_err take_tail(struct recovery *recovery, int64_t offset_base)
{
    struct segment_log *log = recovery->log;
    const struct segment_claim *claim = recovery->claim;
    struct segment_identity identity = {.log = log->log, .offset_base = offset_base};
    enum segment_look look = SEGMENT_LOOK_BAD;
    struct segment_shape seen = {0};
    struct segment_point start = {0};
    enum pyr_err err =
        segment_look_at(log->io, log->folder, &identity, &look, &seen, recovery->reterr);
    if (err == PYR_OK) {
        err = start_of(recovery, offset_base, &seen, &start);
    }
    if (err == PYR_OK && offset_base < claim->offset_end) {
        err = check_joined(recovery, &seen);
    }
    if (err == PYR_OK && seen.is_cleaned) {
        err = err_set(recovery->reterr, PYR_ERR_CORRUPT,
                      "'%s/%020" PRId64
                      ".log' was compacted, but the log is to end in it at %" PRId64,
                      log->folder, offset_base, claim->offset_end);
    }
    if (err != PYR_OK) {
        return err;
    }
    struct segment_rebuild rebuild = {
        .io = log->io,
        .folder = log->folder,
        .shape = segment_shape_after(&log->log, &start, start.clock_ms),
        .offset_trusted = claim->offset_end > offset_base ? claim->offset_end : offset_base + 1,
        .offset_end = claim->offset_end > offset_base ? claim->offset_end : offset_base,
        .may_pass = claim->may_scan,
    };
    err = rebuild_tail(recovery, &rebuild);
    if (err == PYR_OK) {
        err = segment_tail_turn(log->io, log->folder, &identity, &log->tail_turn, recovery->reterr);
    }
    if (err != PYR_OK) {
        return err;
    }
    ASSERT(rebuild.shape.end.offset >= claim->offset_end); /* SEG-10 */
    if (!claim->may_scan) {
        ASSERT(rebuild.shape.end.offset <= claim->offset_end || offset_base > claim->offset_end);
    }
    recovery->report->batches += rebuild.batches;
    recovery->report->records += rebuild.records;
    recovery->report->bytes_scanned += rebuild.bytes_scanned;
    recovery->report->indexes_rebuilt += rebuild.rebuilt;
    bool goes_on = recovery->next < recovery->bases.count &&
                   recovery->bases.rows[recovery->next] == rebuild.shape.end.offset &&
                   claim->may_scan && rebuild.bytes_behind == 0;
    if (!goes_on) {
        recovery->is_over = true;
        err = cut_tail(recovery, &rebuild);
    }
    if (err != PYR_OK) {
        return err;
    }
    return add_segment(recovery, &rebuild.shape, goes_on ? SEGMENT_STATE_FULL : SEGMENT_STATE_OPEN);
}

/* Whether the segment is sealed, and ends exactly where the log is claimed to end. */
static bool is_sealed_end(struct recovery *recovery, int64_t offset_base)
{
    ASSERT(offset_base >= 0);
    ASSERT(offset_base < recovery->claim->offset_end);

    struct segment_log *log = recovery->log;
    const struct segment_claim *claim = recovery->claim;
    struct segment_identity identity = {.log = log->log, .offset_base = offset_base};
    enum segment_look look = SEGMENT_LOOK_BAD;
    struct segment_shape shape;
    if (segment_look_at(log->io, log->folder, &identity, &look, &shape, NULL) != PYR_OK) {
        return false;
    }
    bool is_whole = look == SEGMENT_LOOK_GOOD || look == SEGMENT_LOOK_INDEX_BAD;
    bool is_claimed = !claim->has_end_point ||
                      (shape.history_digest == claim->digest && shape.end.epoch == claim->epoch);
    return is_whole && shape.end.offset == claim->offset_end && is_claimed &&
           is_joined(recovery, &shape);
}

/* -- All segments -- */

/* Remove the segments that lie whole below the start. */
static enum pyr_err drop_below_start(struct recovery *recovery)
{
    ASSERT(recovery->next == 0);
    ASSERT(recovery->bases.rows || recovery->bases.count == 0);

    while (recovery->next + 1 < recovery->bases.count &&
           recovery->bases.rows[recovery->next + 1] <= recovery->claim->offset_start) {
        enum pyr_err err =
            segment_files_remove(recovery->log->io, recovery->log->folder,
                                 recovery->bases.rows[recovery->next], recovery->reterr);
        if (err != PYR_OK) {
            return err;
        }
        recovery->report->files_removed++;
        recovery->next++;
    }
    ASSERT(recovery->next <= recovery->bases.count);
    return PYR_OK;
}

/* Take the segment at @offset_base away. Removing a file of which much is in the page cache takes
 * its time: it is only renamed here, if a later removal can be told of it. */
static enum pyr_err drop_segment(struct recovery *recovery, int64_t offset_base)
{
    ASSERT(offset_base >= recovery->claim->offset_end); /* SEG-10 */
    ASSERT(!recovery->claim->may_scan);

    struct segment_log *log = recovery->log;
    if (log->retired_count == SEGMENT_REMOVE_MAX) {
        return segment_files_remove(log->io, log->folder, offset_base, recovery->reterr);
    }
    log->retired[log->retired_count++] = offset_base;
    return segment_files_retire(log->io, log->folder, offset_base, recovery->reterr);
}

/* Take away what lies beyond the log's end: the journal brings it again. What a scan did not reach
 * is put aside instead, since nothing may bring that again. */
static enum pyr_err drop_beyond(struct recovery *recovery)
{
    ASSERT(recovery->next <= recovery->bases.count);

    struct segment_log *log = recovery->log;
    enum pyr_err err = PYR_OK;
    for (; recovery->next < recovery->bases.count && err == PYR_OK; recovery->next++) {
        int64_t base = recovery->bases.rows[recovery->next];
        char name[PATH_BYTES_MAX];
        ASSERT(base >= recovery->claim->offset_end); /* SEG-10 */
        if (!recovery->claim->may_scan) {
            recovery->report->files_removed++;
            err = drop_segment(recovery, base);
            continue;
        }
        (void)snprintf(name, sizeof name, "%020" PRId64 ".log", base);
        if (recovery->report->quarantined++ == 0) {
            (void)snprintf(recovery->report->quarantined_name,
                           sizeof recovery->report->quarantined_name, "%.60s", name);
        }
        err = segment_quarantine(log->io, log->folder, name, recovery->reterr);
        if (err == PYR_OK) {
            err = segment_files_remove(log->io, log->folder, base, recovery->reterr);
        }
    }
    return err;
}

static enum pyr_err take_segments(struct recovery *recovery)
{
    ASSERT(recovery->log->count == 0);
    ASSERT(!recovery->is_over);

    const struct segment_claim *claim = recovery->claim;
    enum pyr_err err = drop_below_start(recovery);
    while (err == PYR_OK && recovery->next < recovery->bases.count && !recovery->is_over) {
        int64_t base = recovery->bases.rows[recovery->next];
        bool is_beyond = base >= claim->offset_end && !claim->may_scan;
        if (is_beyond) {
            break;
        }
        recovery->next++;
        bool has_next = recovery->next < recovery->bases.count &&
                        recovery->bases.rows[recovery->next] <= claim->offset_end;
        if (has_next) {
            err = take_sealed(recovery, base, recovery->bases.rows[recovery->next]);
        } else if (base < claim->offset_end && is_sealed_end(recovery, base)) {
            err = take_sealed(recovery, base, claim->offset_end);
        } else {
            err = take_tail(recovery, base);
        }
    }
    return err;
}

/* Hold what was found against the claim's two ends. */
static enum pyr_err check_ends(struct recovery *recovery)
{
    ASSERT(recovery->has_end == (recovery->log->count > 0));
    ASSERT(recovery->claim->offset_end >= recovery->claim->offset_start);

    const struct segment_claim *claim = recovery->claim;
    struct segment_log *log = recovery->log;
    if (!recovery->has_end && claim->offset_end == claim->offset_start) {
        log->first = (struct segment_point){
            .offset = claim->offset_end,
            .digest = claim->has_end_point ? claim->digest : SEGMENT_DIGEST_FIRST,
            .epoch = claim->has_end_point ? claim->epoch : -1,
        };
        return PYR_OK;
    }
    if (!recovery->has_end || recovery->end.offset < claim->offset_end) {
        return err_set(recovery->reterr, PYR_ERR_CORRUPT,
                       "'%s' ends at offset %" PRId64 ", but held batches up to %" PRId64,
                       log->folder, recovery->has_end ? recovery->end.offset : claim->offset_start,
                       claim->offset_end);
    }
    if (log->rows[0]->shape.identity.offset_base > claim->offset_start) {
        return err_set(recovery->reterr, PYR_ERR_CORRUPT,
                       "'%s' begins at offset %" PRId64 ", but should hold %" PRId64, log->folder,
                       log->rows[0]->shape.identity.offset_base, claim->offset_start);
    }
    return PYR_OK;
}

/* -- The epoch table -- */

/* Collects the epochs that begin in one segment. */
struct epoch_visit {
    struct segment_point_visit visit;
    struct segment_log *log;
    enum pyr_err err;
};

static void visit_epoch(struct segment_point_visit *visit, const struct segment_point *point)
{
    ASSERT(visit);
    ASSERT(point->kind != 0);

    struct epoch_visit *epochs = container_of(visit, struct epoch_visit, visit);
    struct segment_log *log = epochs->log;
    int32_t newest = log->epoch_count ? log->epochs[log->epoch_count - 1].epoch : -1;
    if (!(point->kind & SEGMENT_POINT_EPOCH) || point->batch_epoch <= newest) {
        return;
    }
    if (log->epoch_count > 0 && log->epochs[log->epoch_count - 1].offset_start >= point->offset) {
        log->epoch_count--; /* It ended where the log now starts. */
    }
    if (epochs->err == PYR_OK) {
        epochs->err = segment_log_reserve_epochs(log, 1);
    }
    if (epochs->err == PYR_OK) {
        log->epochs[log->epoch_count++] =
            (struct segment_epoch){.epoch = point->batch_epoch, .offset_start = point->offset};
    }
}

/* The history points of a cleaned segment, one after the other. */
static enum pyr_err visit_history(struct segment_log *log,
                                  const struct segment_shape *shape,
                                  struct io_file *digest,
                                  struct epoch_visit *epochs)
{
    ASSERT(shape->is_cleaned);
    ASSERT(digest);
    ASSERT(epochs->log == log);

    for (uint32_t slot = 0; slot < shape->history_count; slot++) {
        uint8_t data[SEGMENT_POINT_BYTES];
        struct segment_point point;
        size_t count = 0;
        int number =
            io_read_whole(log->io, digest, (struct bytes_mut){.data = data, .count = sizeof data},
                          segment_point_position(slot), &count);
        if (number != 0) {
            return err_from_errno(number);
        }
        if (count == sizeof data && segment_point_get(data, &shape->identity, slot, &point)) {
            visit_epoch(&epochs->visit, &point);
        }
    }
    return PYR_OK;
}

static enum pyr_err epochs_of_segment(struct segment_log *log,
                                      const struct segment_shape *shape,
                                      struct epoch_visit *epochs,
                                      struct pyr_error *reterr)
{
    ASSERT(epochs->err == PYR_OK);
    ASSERT(epochs->log == log);

    struct io_file *digest = NULL;
    struct segment_restored restored;
    if (shape->start.epoch == shape->end.epoch) {
        return PYR_OK;
    }
    enum pyr_err err = segment_file_open(
        log->io,
        &(struct segment_file_name){log->folder, shape->identity.offset_base, SEGMENT_KIND_DIGEST},
        IO_OPEN_READ, &digest, reterr);
    if (err != PYR_OK || !digest) {
        return err;
    }
    struct segment_shape start = segment_shape_after(&log->log, &shape->start, 0);
    start.identity = shape->identity;
    start.history_count = shape->history_count;
    struct segment_points points = {.io = log->io, .digest = digest, .shape = &start};
    err = shape->is_cleaned ? visit_history(log, shape, digest, epochs)
                            : segment_points_restore(&points, shape->end.offset, &epochs->visit,
                                                     &restored, reterr);
    io_close(log->io, digest);
    return err == PYR_OK ? epochs->err : err;
}

/* Whether the epoch file holds exactly the table. */
static bool is_epoch_file_good(struct segment_log *log)
{
    ASSERT(log->folder);
    ASSERT(log->epoch_count <= log->epoch_capacity);

    char path[PATH_BYTES_MAX];
    struct io_file *file = NULL;
    size_t bytes = (log->epoch_count + 1) * SEGMENT_EPOCH_ROW_BYTES_MAX;
    uint8_t *text = io_alloc(log->io, 2 * bytes, 1);
    size_t count = 0;
    bool is_good = false;
    if (text && segment_path_join(path, log->folder, SEGMENT_EPOCH_FILE_NAME) &&
        io_open(log->io, path, IO_OPEN_READ, &file) == 0) {
        int number = io_read_whole(log->io, file, (struct bytes_mut){.data = text, .count = bytes},
                                   0, &count);
        size_t want =
            segment_epochs_put((char *)text + bytes, bytes, log->epochs, log->epoch_count);
        is_good = number == 0 && want == count && memcmp(text, text + bytes, count) == 0;
        io_close(log->io, file);
    }
    io_free(log->io, text);
    return is_good;
}

/* Make the epoch table from the points, and the file from the table. */
static enum pyr_err take_epochs(struct recovery *recovery)
{
    ASSERT(recovery->log->epoch_count == 0);
    ASSERT(recovery->log->count <= recovery->log->capacity);

    struct segment_log *log = recovery->log;
    struct epoch_visit epochs = {.visit.take = visit_epoch, .log = log};
    if (log->count > 0 && log->rows[0]->shape.start.epoch >= 0) {
        /* The first segment goes on in an epoch that began before it: as Kafka, it begins here. */
        struct segment_point point = log->rows[0]->shape.start;
        point.kind = SEGMENT_POINT_EPOCH;
        point.batch_epoch = point.epoch;
        visit_epoch(&epochs.visit, &point);
    }
    for (size_t index = 0; index < log->count && epochs.err == PYR_OK; index++) {
        enum pyr_err err =
            epochs_of_segment(log, &log->rows[index]->shape, &epochs, recovery->reterr);
        if (err != PYR_OK) {
            return err_set(recovery->reterr, err, "the epoch table of '%s' cannot be read: %s",
                           log->folder, err_text(err));
        }
    }
    if (epochs.err != PYR_OK) {
        return no_memory(recovery);
    }
    if (!is_epoch_file_good(log)) {
        recovery->report->indexes_rebuilt += log->count > 0;
        return segment_epochs_write(log->io, log->folder, log->epochs, log->epoch_count,
                                    recovery->reterr);
    }
    return PYR_OK;
}

/* -- Opening -- */

static enum pyr_err check_folder(const struct segment_log_options *options,
                                 const struct segment_claim *claim,
                                 struct pyr_error *reterr)
{
    ASSERT(options->io);
    ASSERT(options->folder);

    struct segment_metadata metadata;
    if (claim->offset_start < 0 || claim->offset_end < claim->offset_start) {
        return err_set(reterr, PYR_ERR_INVALID, "'%s': the claim ends before it starts",
                       options->folder);
    }
    enum pyr_err err = segment_log_identify(options->io, options->folder, &metadata, reterr);
    if (err != PYR_OK) {
        return err;
    }
    if (!log_id_equal(&metadata.log, &options->log)) {
        return err_set(reterr, PYR_ERR_FOREIGN, "'%s' belongs to another log", options->folder);
    }
    return PYR_OK;
}

static struct segment_log *make_log(const struct segment_log_options *options,
                                    const struct segment_claim *claim)
{
    ASSERT(options->files);
    ASSERT(claim->offset_start >= 0);
    ASSERT(claim->offset_end >= claim->offset_start);

    struct io *io = options->io;
    size_t count = strlen(options->folder) + 1;
    struct segment_log *log = io_alloc(io, sizeof *log, _Alignof(struct segment_log));
    if (!log) {
        return NULL;
    }
    log->folder = io_alloc(io, count, 1);
    if (!log->folder) {
        io_free(io, log);
        return NULL;
    }
    memcpy(log->folder, options->folder, count);
    int64_t bytes_max = options->segment_bytes_max;
    log->io = io;
    log->files = options->files;
    log->log = options->log;
    log->is_capped = bytes_max > SEGMENT_BYTES_MAX;
    log->bytes_max = bytes_max <= 0 || log->is_capped ? SEGMENT_BYTES_MAX : bytes_max;
    log->age_max_ms = options->segment_age_max_ms;
    log->use_mmap = options->use_mmap;
    log->guard = options->guard;
    log->offset_start = claim->offset_start;
    ASSERT(log->bytes_max > 0);
    ASSERT(log->bytes_max <= SEGMENT_BYTES_MAX);
    return log;
}

static enum pyr_err recover(struct recovery *recovery)
{
    ASSERT(recovery->log->count == 0);
    ASSERT(!recovery->bases.rows);
    ASSERT(recovery->next == 0);

    struct segment_log *log = recovery->log;
    enum pyr_err err = segment_folder_clear(log->io, log->folder, &log->log, recovery->report,
                                            &recovery->bases, recovery->reterr);
    if (err == PYR_OK) {
        err = take_segments(recovery);
    }
    if (err == PYR_OK) {
        err = check_ends(recovery);
    }
    if (err == PYR_OK) {
        err = drop_beyond(recovery);
    }
    if (err == PYR_OK) {
        err = take_epochs(recovery);
    }
    io_free(log->io, recovery->bases.rows);
    return err;
}

enum pyr_err segment_log_open(const struct segment_log_options *options,
                              const struct segment_claim *claim,
                              struct segment_report *ret_report,
                              struct segment_log **ret_log,
                              struct pyr_error *reterr)
{
    ASSERT(claim);
    ASSERT(ret_log);

    struct segment_report report = {0};
    enum pyr_err err = check_folder(options, claim, reterr);
    if (err != PYR_OK) {
        return err;
    }
    struct segment_log *log = make_log(options, claim);
    if (!log) {
        return err_set(reterr, PYR_ERR_NO_MEMORY, "no memory to open '%s'", options->folder);
    }
    struct recovery recovery = {.log = log, .claim = claim, .report = &report, .reterr = reterr};
    err = recover(&recovery);
    if (err != PYR_OK) {
        segment_log_free(log);
        return err;
    }
    /* What was found beyond the claim has not been synced by us: the first sync does it. */
    log->synced = segment_log_end(log);
    if (log->synced.offset > claim->offset_end) {
        log->synced = (struct segment_end){
            .segment = segment_log_segment_of(log, claim->offset_end),
            .offset = claim->offset_end,
            .digest = claim->digest,
            .epoch = claim->epoch,
        };
    }
    log->folder_dirty = true;
    if (ret_report) {
        *ret_report = report;
    }
    *ret_log = log;
    ASSERT(log->synced.offset <= segment_log_point(log).offset); /* SEG-8 */
    ASSERT(log->offset_start <= segment_log_point(log).offset);
    return PYR_OK;
}
