/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment/remove - removal by name, quarantine, the swap, and the clearing of a folder.
 *
 * The swap of a cleaned segment, step by step; a crash may fall between any two:
 *
 *   1  X.cleaned written and synced, four files                    before: dropped at open
 *   2  .log.cleaned -> .log.swap, folder synced                    from here on: finished at open
 *   3  .digest.cleaned -> .digest, likewise the indexes
 *   4  the other segments that went into it are removed
 *   5  .log.swap -> .log, folder synced
 */
#include "segment/remove.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#include "base/assert.h"
#include "base/mutant.h"
#include "segment/rebuild.h"
#include "segment/state.h"

/* How many names quarantine tries for one file. */
enum { QUARANTINE_TRIES = 1000, NAME_BYTES = 300 };

static const enum segment_kind kinds_in_order[SEGMENT_KIND_COUNT] = {
    SEGMENT_KIND_LOG, SEGMENT_KIND_INDEX, SEGMENT_KIND_TIMEINDEX, SEGMENT_KIND_DIGEST};

/* -- By name -- */

static enum pyr_err remove_path(struct io *io, const char *path, struct pyr_error *reterr)
{
    ASSERT(path);
    ASSERT(path[0] != '\0');

    int number = io_remove(io, path);
    if (number != 0 && number != ENOENT) {
        return err_set_errno(reterr, number, "remove '%s'", path);
    }
    return PYR_OK;
}

static enum pyr_err too_long(const char *folder, struct pyr_error *reterr)
{
    ASSERT(folder);

    return err_set(reterr, PYR_ERR_INVALID, "the path of '%s' is too long", folder);
}

/* Remove the four files with @suffix. */
static enum pyr_err remove_suffixed(struct io *io,
                                    const char *folder,
                                    int64_t offset_base,
                                    enum segment_suffix suffix,
                                    struct pyr_error *reterr)
{
    ASSERT(folder);
    ASSERT(offset_base >= 0);
    ASSERT(suffix < SEGMENT_SUFFIX_COUNT);

    enum pyr_err err = PYR_OK;
    for (size_t index = 0; index < SEGMENT_KIND_COUNT && err == PYR_OK; index++) {
        char path[PATH_BYTES_MAX];
        if (!segment_path(path, folder, offset_base, kinds_in_order[index], suffix)) {
            return too_long(folder, reterr);
        }
        err = remove_path(io, path, reterr);
    }
    return err;
}

enum pyr_err segment_files_remove(struct io *io,
                                  const char *folder,
                                  int64_t offset_base,
                                  struct pyr_error *reterr)
{
    ASSERT(folder);
    ASSERT(offset_base >= 0);
    return remove_suffixed(io, folder, offset_base, SEGMENT_SUFFIX_NONE, reterr);
}

/* Rename one file from one suffix to another; one that is not there is no error. */
static enum pyr_err rename_kind(struct io *io,
                                const char *folder,
                                const struct segment_identity *place,
                                enum segment_kind kind,
                                const enum segment_suffix suffixes[2],
                                struct pyr_error *reterr)
{
    ASSERT(place->offset_base >= 0);
    ASSERT(suffixes[0] != suffixes[1]);

    char from[PATH_BYTES_MAX];
    char path[PATH_BYTES_MAX];
    if (!segment_path(from, folder, place->offset_base, kind, suffixes[0]) ||
        !segment_path(path, folder, place->offset_base, kind, suffixes[1])) {
        return too_long(folder, reterr);
    }
    int number = io_rename(io, from, path);
    if (number != 0 && number != ENOENT) {
        return err_set_errno(reterr, number, "rename '%s'", from);
    }
    return PYR_OK;
}

enum pyr_err segment_files_retire(struct io *io,
                                  const char *folder,
                                  int64_t offset_base,
                                  struct pyr_error *reterr)
{
    ASSERT(folder);
    ASSERT(offset_base >= 0);

    const enum segment_suffix suffixes[2] = {SEGMENT_SUFFIX_NONE, SEGMENT_SUFFIX_DELETED};
    struct segment_identity place = {.offset_base = offset_base};
    enum pyr_err err = PYR_OK;
    for (size_t index = 0; index < SEGMENT_KIND_COUNT && err == PYR_OK; index++) {
        err = rename_kind(io, folder, &place, kinds_in_order[index], suffixes, reterr);
    }
    return err;
}

static enum pyr_err sync_folder(struct io *io, const char *folder, struct pyr_error *reterr)
{
    ASSERT(io);
    ASSERT(folder);

    int number = MUTANT(no_folder_sync) ? 0 : io_sync_folder(io, folder);
    if (number != 0) {
        (void)err_set_errno(reterr, number, "sync the folder '%s'", folder);
        return err_recode(reterr, PYR_ERR_IO);
    }
    return PYR_OK;
}

/* -- Quarantine -- */

enum pyr_err segment_quarantine(struct io *io,
                                const char *folder,
                                const char *name,
                                struct pyr_error *reterr)
{
    ASSERT(folder);
    ASSERT(name);
    ASSERT(name[0] != '\0');

    char from[PATH_BYTES_MAX];
    char aside[PATH_BYTES_MAX];
    if (!segment_path_join(from, folder, name) ||
        !segment_path_join(aside, folder, SEGMENT_QUARANTINE_NAME)) {
        return too_long(folder, reterr);
    }
    int number = io_make_folder(io, aside);
    if (number != 0 && number != EEXIST) {
        return err_set_errno(reterr, number, "make '%s'", aside);
    }
    for (int try = 0; try < QUARANTINE_TRIES; try++) {
        char fresh[NAME_BYTES];
        char path[PATH_BYTES_MAX];
        struct io_stat stat;
        (void)snprintf(fresh, sizeof fresh, try ? "%s.%d" : "%s", name, try);
        if (!segment_path_join(path, aside, fresh)) {
            return too_long(folder, reterr);
        }
        if (io_stat(io, path, &stat) != ENOENT) {
            continue;
        }
        number = io_rename(io, from, path);
        return number == 0 ? PYR_OK : err_set_errno(reterr, number, "move '%s' aside", from);
    }
    return err_set(reterr, PYR_ERR_EXISTS, "'%s' holds too many files named '%s'", aside, name);
}

/* -- The swap -- */

/* Remove the segments with a base between the two offsets: they went into the cleaned one. */
static enum pyr_err remove_inputs(struct io *io,
                                  const char *folder,
                                  int64_t offset_base,
                                  int64_t offset_end,
                                  struct pyr_error *reterr)
{
    ASSERT(offset_base >= 0);
    ASSERT(offset_end >= offset_base);

    struct io_entries entries = {0};
    int number = io_list(io, folder, &entries);
    if (number != 0) {
        return err_set_errno(reterr, number, "list '%s'", folder);
    }
    enum pyr_err err = PYR_OK;
    for (size_t index = 0; index < entries.count && err == PYR_OK; index++) {
        int64_t base = 0;
        enum segment_kind kind;
        enum segment_suffix suffix;
        char path[PATH_BYTES_MAX];
        if (!segment_name_parse(entries.rows[index].name, &base, &kind, &suffix) ||
            suffix != SEGMENT_SUFFIX_NONE || base <= offset_base || base >= offset_end) {
            continue;
        }
        err = segment_path(path, folder, base, kind, suffix) ? remove_path(io, path, reterr)
                                                             : too_long(folder, reterr);
    }
    io_entries_free(io, &entries);
    return err;
}

enum pyr_err segment_swap_finish(struct io *io,
                                 const char *folder,
                                 int64_t offset_base,
                                 int64_t offset_end,
                                 struct pyr_error *reterr)
{
    ASSERT(folder);
    ASSERT(offset_base >= 0);

    const enum segment_suffix sides[2] = {SEGMENT_SUFFIX_CLEANED, SEGMENT_SUFFIX_NONE};

    const enum segment_suffix last[2] = {SEGMENT_SUFFIX_SWAP, SEGMENT_SUFFIX_NONE};
    struct segment_identity place = {.offset_base = offset_base};
    enum pyr_err err = PYR_OK;

    ASSERT(offset_end >= offset_base);
    for (size_t index = 1; index < SEGMENT_KIND_COUNT && err == PYR_OK; index++) {
        err = rename_kind(io, folder, &place, kinds_in_order[index], sides, reterr);
    }
    if (err == PYR_OK) {
        err = remove_inputs(io, folder, offset_base, offset_end, reterr);
    }
    if (err == PYR_OK) {
        err = sync_folder(io, folder, reterr);
    }
    if (err == PYR_OK) {
        err = rename_kind(io, folder, &place, SEGMENT_KIND_LOG, last, reterr);
    }
    return err == PYR_OK ? sync_folder(io, folder, reterr) : err;
}

enum pyr_err segment_swap_begin(struct io *io,
                                const char *folder,
                                int64_t offset_base,
                                struct pyr_error *reterr)
{
    ASSERT(folder);
    ASSERT(offset_base >= 0);

    const enum segment_suffix suffixes[2] = {SEGMENT_SUFFIX_CLEANED, SEGMENT_SUFFIX_SWAP};
    struct segment_identity place = {.offset_base = offset_base};
    enum pyr_err err = sync_folder(io, folder, reterr);
    if (err == PYR_OK) {
        err = rename_kind(io, folder, &place, SEGMENT_KIND_LOG, suffixes, reterr);
    }
    return err == PYR_OK ? sync_folder(io, folder, reterr) : err;
}

enum pyr_err segment_cleaned_remove(struct io *io,
                                    const char *folder,
                                    int64_t offset_base,
                                    struct pyr_error *reterr)
{
    ASSERT(folder);
    ASSERT(offset_base >= 0);

    return remove_suffixed(io, folder, offset_base, SEGMENT_SUFFIX_CLEANED, reterr);
}

/* Where the batches of the cleaned segment behind a .log.swap end: its END point says. The .digest
 * is under one of two names. */
static enum pyr_err swap_end(struct io *io,
                             const char *folder,
                             const struct segment_identity *identity,
                             int64_t *ret_offset_end,
                             struct pyr_error *reterr)
{
    ASSERT(identity->offset_base >= 0);
    ASSERT(ret_offset_end);

    const enum segment_suffix sides[2] = {SEGMENT_SUFFIX_CLEANED, SEGMENT_SUFFIX_NONE};
    enum segment_look look = SEGMENT_LOOK_BAD;
    struct segment_shape shape;
    enum pyr_err err = rename_kind(io, folder, identity, SEGMENT_KIND_DIGEST, sides, reterr);
    if (err == PYR_OK) {
        err = segment_look_at(io, folder, identity, &look, &shape, reterr);
    }
    if (err != PYR_OK) {
        return err;
    }
    /* The .log under its plain name is still the old one, so only the .digest's own word counts. */
    if (!shape.is_cleaned || shape.end.offset <= shape.identity.offset_base) {
        return err_set(reterr, PYR_ERR_CORRUPT,
                       "'%s/%020" PRId64
                       ".digest' is damaged while a compaction was to be finished",
                       folder, identity->offset_base);
    }
    *ret_offset_end = shape.end.offset;
    ASSERT(*ret_offset_end > identity->offset_base);
    return PYR_OK;
}

/* -- Clearing a folder -- */

/* Finish every swap that was decided. */
static enum pyr_err finish_swaps(struct io *io,
                                 const char *folder,
                                 const struct log_id *log,
                                 const struct io_entries *entries,
                                 struct pyr_error *reterr)
{
    ASSERT(log);
    ASSERT(entries->rows || entries->count == 0);

    for (size_t index = 0; index < entries->count; index++) {
        struct segment_identity identity = {.log = *log};
        enum segment_kind kind;
        enum segment_suffix suffix;
        int64_t offset_end = 0;
        if (!segment_name_parse(entries->rows[index].name, &identity.offset_base, &kind, &suffix) ||
            suffix != SEGMENT_SUFFIX_SWAP || kind != SEGMENT_KIND_LOG) {
            continue;
        }
        enum pyr_err err = swap_end(io, folder, &identity, &offset_end, reterr);
        if (err == PYR_OK) {
            err = segment_swap_finish(io, folder, identity.offset_base, offset_end, reterr);
        }
        if (err != PYR_OK) {
            return err;
        }
    }
    return PYR_OK;
}

/* What is to be done with an entry of the folder. */
enum fate {
    FATE_KEEP,
    FATE_REMOVE,
    FATE_QUARANTINE,
};

static bool is_log_there(const struct io_entries *entries, int64_t offset_base)
{
    ASSERT(offset_base >= 0);
    ASSERT(entries->count > 0);

    for (size_t index = 0; index < entries->count; index++) {
        int64_t base = 0;
        enum segment_kind kind;
        enum segment_suffix suffix;
        if (segment_name_parse(entries->rows[index].name, &base, &kind, &suffix) &&
            base == offset_base && kind == SEGMENT_KIND_LOG && suffix == SEGMENT_SUFFIX_NONE) {
            return true;
        }
    }
    return false;
}

static enum fate fate_of(const struct io_entries *entries, const struct io_entry *entry)
{
    ASSERT(entries->count > 0);
    ASSERT(entry->name[0] != '\0');

    static const char *const kept[] = {SEGMENT_EPOCH_FILE_NAME, SEGMENT_METADATA_FILE_NAME,
                                       SEGMENT_DELETED_FILE_NAME, SEGMENT_FOLD_FILE_NAME};
    static const char *const dropped[] = {
        SEGMENT_EPOCH_FILE_NAME SEGMENT_NEW_SUFFIX, SEGMENT_METADATA_FILE_NAME SEGMENT_NEW_SUFFIX,
        SEGMENT_DELETED_FILE_NAME SEGMENT_NEW_SUFFIX, SEGMENT_FOLD_FILE_NAME SEGMENT_NEW_SUFFIX,
        SEGMENT_PREPARED_FILE_NAME};
    int64_t base = 0;
    enum segment_kind kind;
    enum segment_suffix suffix;
    if (entry->kind == IO_KIND_FOLDER && strcmp(entry->name, SEGMENT_QUARANTINE_NAME) == 0) {
        return FATE_KEEP;
    }
    if (entry->kind != IO_KIND_FILE) {
        return FATE_QUARANTINE;
    }
    for (size_t index = 0; index < sizeof kept / sizeof kept[0]; index++) {
        if (strcmp(entry->name, kept[index]) == 0) {
            return FATE_KEEP;
        }
    }
    for (size_t index = 0; index < sizeof dropped / sizeof dropped[0]; index++) {
        if (strcmp(entry->name, dropped[index]) == 0) {
            return FATE_REMOVE;
        }
    }
    if (!segment_name_parse(entry->name, &base, &kind, &suffix)) {
        return FATE_QUARANTINE;
    }
    bool is_kept =
        suffix == SEGMENT_SUFFIX_NONE && (kind == SEGMENT_KIND_LOG || is_log_there(entries, base));
    return is_kept ? FATE_KEEP : FATE_REMOVE;
}

static enum pyr_err settle(struct io *io,
                           const char *folder,
                           const struct io_entry *entry,
                           enum fate fate,
                           struct segment_report *report,
                           struct pyr_error *reterr)
{
    ASSERT(report);
    ASSERT(fate <= FATE_QUARANTINE);

    char path[PATH_BYTES_MAX];
    switch (fate) {
    case FATE_KEEP:
        return PYR_OK;
    case FATE_REMOVE:
        report->files_removed++;
        return segment_path_join(path, folder, entry->name) ? remove_path(io, path, reterr)
                                                            : too_long(folder, reterr);
    case FATE_QUARANTINE:
        if (report->quarantined++ == 0) {
            (void)snprintf(report->quarantined_name, sizeof report->quarantined_name, "%s",
                           entry->name);
        }
        return segment_quarantine(io, folder, entry->name, reterr);
    }
    ASSERT(false);
    return PYR_ERR_INVALID;
}

/* Put the base offsets of the .log files among @entries, which are sorted, into a new array. */
static enum pyr_err collect_bases(struct io *io,
                                  const struct io_entries *entries,
                                  struct segment_bases *ret_bases,
                                  struct pyr_error *reterr)
{
    ASSERT(ret_bases);
    ASSERT(entries);

    size_t count = 0;
    int64_t *bases = io_alloc(io, (entries->count + 1) * sizeof *bases, sizeof *bases);
    if (!bases) {
        return err_set(reterr, PYR_ERR_NO_MEMORY, "no memory for the list of segments");
    }
    for (size_t index = 0; index < entries->count; index++) {
        int64_t base = 0;
        enum segment_kind kind;
        enum segment_suffix suffix;
        if (segment_name_parse(entries->rows[index].name, &base, &kind, &suffix) &&
            kind == SEGMENT_KIND_LOG && suffix == SEGMENT_SUFFIX_NONE) {
            ASSERT(count == 0 || bases[count - 1] < base);
            bases[count++] = base;
        }
    }
    *ret_bases = (struct segment_bases){.rows = bases, .count = count};
    return PYR_OK;
}

enum pyr_err segment_folder_clear(struct io *io,
                                  const char *folder,
                                  const struct log_id *log,
                                  struct segment_report *report,
                                  struct segment_bases *ret_bases,
                                  struct pyr_error *reterr)
{
    ASSERT(report);
    ASSERT(ret_bases);
    ASSERT(folder);

    struct io_entries entries = {0};
    int number = io_list(io, folder, &entries);
    if (number != 0) {
        return err_set_errno(reterr, number, "list '%s'", folder);
    }
    enum pyr_err err = finish_swaps(io, folder, log, &entries, reterr);
    io_entries_free(io, &entries);
    if (err != PYR_OK) {
        return err;
    }
    number = io_list(io, folder, &entries);
    if (number != 0) {
        return err_set_errno(reterr, number, "list '%s'", folder);
    }
    for (size_t index = 0; index < entries.count && err == PYR_OK; index++) {
        const struct io_entry *entry = &entries.rows[index];
        err = settle(io, folder, entry, fate_of(&entries, entry), report, reterr);
    }
    if (err == PYR_OK) {
        err = collect_bases(io, &entries, ret_bases, reterr);
    }
    io_entries_free(io, &entries);
    return err;
}
