/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal/replay - the walk along the chain and the verdict at its end; the rule stands in the header.
 */
#include "wal/replay.h"

#include <stdio.h>

#include "base/assert.h"
#include "base/codec.h"
#include "base/mutant.h"
#include "wal/disk.h"

/* What stands where the next flush should. */
enum verdict {
    VERDICT_GOOD,
    VERDICT_ABSENT, /* No flush that continues the chain. */
    VERDICT_BAD,    /* One whose header does, but an entry fails. */
};

void wal_replay_init(struct wal_replay *replay, const struct wal_replay_options *options)
{
    ASSERT(options->files);
    ASSERT(options->start.position > 0);

    *replay = (struct wal_replay){
        .options = *options,
        .link = options->start,
        .good_end = options->start.position,
        .report = {.position = options->start.position, .run = options->start.run},
    };
    wal_window_init(&replay->window, options->files, options->loop);
}

void wal_replay_deinit(struct wal_replay *replay)
{
    ASSERT(replay);
    ASSERT(replay->at <= replay->end || replay->end == 0);

    wal_window_deinit(&replay->window);
    *replay = (struct wal_replay){0};
}

/* Give @bytes of @file at @position, until the next call. */
static enum pyr_err look_at(struct wal_replay *replay,
                            const struct wal_file *file,
                            int64_t position,
                            size_t bytes,
                            const uint8_t **ret_data,
                            struct pyr_error *reterr)
{
    ASSERT(replay->options.files == replay->window.files);

    enum pyr_err err = wal_window_need(&replay->window, file, position, bytes, ret_data, reterr);
    replay->report.bytes_scanned = replay->window.bytes_read;
    return err;
}

/* -- One flush -- */

static bool flush_continues(const struct wal_link *link, const struct wal_flush_header *header)
{
    ASSERT(link->position > 0);
    ASSERT(header->bytes_used <= header->bytes);

    if (MUTANT(recycled_flush_accepted)) {
        return true;
    }
    return header->previous_checksum == link->checksum && header->sequence == link->sequence + 1 &&
           header->previous_used == link->used && header->run >= link->run;
}

/* Put @view, at the current place, into replay->entry. */
static void entry_fill(struct wal_replay *replay, const struct wal_entry_view *view, uint32_t at)
{
    ASSERT(view->bytes >= WAL_ENTRY_HEADER_BYTES);
    ASSERT(at + view->bytes <= replay->header.bytes);

    replay->entry = (struct wal_replay_entry){
        .entry = view->entry,
        .position = replay->header.position + at,
        .position_end = replay->header.position + at + view->bytes,
        .flush_position = replay->header.position,
        .run = replay->header.run,
    };
}

/* Return whether the bytes of an append that the entry's checksum leaves out pass their own. */
static bool payload_is_whole(struct wal_replay *replay, const struct wal_entry_view *view)
{
    ASSERT(view->bytes >= WAL_ENTRY_HEADER_BYTES);
    ASSERT(view->entry.parts[0].data);

    bool is_checked = view->entry.checked_bytes == view->entry.parts[0].count ||
                      view->entry.kind != WAL_ENTRY_APPEND;
    if (is_checked || !replay->options.verify) {
        return is_checked;
    }
    return replay->options.verify(replay->options.verify_ctx, &replay->entry);
}

/* Return whether all entries of the current flush are good, and set where they end. */
static bool entries_are_good(struct wal_replay *replay)
{
    ASSERT(replay->flush);

    struct bytes flush = {replay->flush, replay->header.bytes};
    bool is_open = (replay->header.flags & WAL_FLUSH_OPEN) != 0;
    flush.count = is_open ? replay->header.bytes : replay->header.bytes_used;
    uint32_t at = WAL_FLUSH_HEADER_BYTES;
    uint32_t count = 0;
    struct wal_entry_view view;
    while (at < flush.count && wal_entry_decode(flush, at, replay->seed, &view)) {
        entry_fill(replay, &view, at);
        if (!payload_is_whole(replay, &view)) {
            break;
        }
        at += view.bytes;
        count++;
    }
    replay->end = at;
    ASSERT(at <= flush.count);
    return is_open || (at == flush.count && count == replay->header.entry_count);
}

/* Judge what stands at @position of @file, and make it the current flush if its header fits. */
static enum pyr_err flush_judge(struct wal_replay *replay,
                                const struct wal_file *file,
                                int64_t position,
                                enum verdict *ret_verdict,
                                struct pyr_error *reterr)
{
    ASSERT(position >= WAL_FILE_DATA_POSITION);

    const struct wal_identity *identity = &replay->options.files->identity;
    uint64_t place = file->generation * identity->file_bytes + (uint64_t)position;
    *ret_verdict = VERDICT_ABSENT;
    if (wal_file_left(identity, place) < BLOCK_BYTES || file->state == WAL_FILE_DAMAGED) {
        return PYR_OK;
    }
    const uint8_t *data = NULL;
    enum pyr_err err = look_at(replay, file, position, BLOCK_BYTES, &data, reterr);
    if (err != PYR_OK) {
        return err;
    }
    ASSERT(data);
    struct wal_flush_header header;
    if (!wal_flush_header_decode(identity, place, data, &header) ||
        !flush_continues(&replay->link, &header)) {
        return PYR_OK;
    }
    err = look_at(replay, file, position, header.bytes, &data, reterr);
    if (err != PYR_OK) {
        return err;
    }
    replay->header = header;
    replay->header.position = place;
    replay->flush = data;
    replay->at = WAL_FLUSH_HEADER_BYTES;
    replay->seed =
        wal_entry_seed(identity, &(struct wal_place){header.position, header.run, header.sequence});
    bool is_good = entries_are_good(replay) || MUTANT(replay_past_bad_flush);
    *ret_verdict = is_good ? VERDICT_GOOD : VERDICT_BAD;
    return PYR_OK;
}

/* The same, asking the device again where the page cache is not to be believed. */
static enum pyr_err flush_try(struct wal_replay *replay,
                              const struct wal_file *file,
                              int64_t position,
                              enum verdict *ret_verdict,
                              struct pyr_error *reterr)
{
    ASSERT(ret_verdict);
    ASSERT(!replay->is_ended);

    enum pyr_err err = flush_judge(replay, file, position, ret_verdict, reterr);
    bool is_cached = replay->window.is_cached && replay->window.file == file;
    if (err != PYR_OK || !is_cached || MUTANT(page_cache_believed)) {
        return err;
    }
    bool is_open = *ret_verdict == VERDICT_GOOD && (replay->header.flags & WAL_FLUSH_OPEN) != 0;
    if (*ret_verdict == VERDICT_GOOD && !is_open) {
        return PYR_OK;
    }
    wal_window_distrust(&replay->window);
    err = flush_judge(replay, file, position, ret_verdict, reterr);
    ASSERT(!replay->window.is_cached); /* REPL-4 */
    wal_window_trust(&replay->window);
    return err;
}

/* -- The end of the chain -- */

/* What lies behind the last good flush. */
struct rest {
    uint64_t bad_position; /* Where the next flush should have been. */
    uint64_t good_end;     /* What is durable beyond it is missing. */
    uint64_t proof_upto;   /* The highest durable_upto found; 0: none. */
    uint64_t proof_where;  /* The flush that said so; 0: the checkpoint. */
    uint64_t cut_bytes;    /* Of flushes of the chain's run or later. */
    uint64_t leftovers;    /* Flushes of lower runs. */
};

static void rest_note(struct rest *rest,
                      const struct wal_link *link,
                      const struct wal_flush_header *header)
{
    ASSERT(header->position > 0);
    ASSERT(header->bytes_used <= header->bytes);

    if (header->run < link->run) {
        rest->leftovers++;
        return;
    }
    rest->cut_bytes += header->bytes;
    if (header->durable_upto > rest->proof_upto) {
        rest->proof_upto = header->durable_upto;
        rest->proof_where = header->position;
    }
}

void wal_replay_rest_begin(struct wal_replay *replay)
{
    ASSERT(replay->link.position > 0);
    ASSERT(replay->good_end <= replay->link.position);

    const struct wal_files *files = replay->options.files;
    uint64_t generation = wal_generation_of(&files->identity, replay->link.position);
    replay->rest_file = wal_files_find(files, generation);
    replay->rest_position = wal_file_position_of(&files->identity, replay->link.position);
    if (!replay->rest_file) {
        replay->rest_file = wal_files_after(files, generation);
        replay->rest_position = WAL_FILE_DATA_POSITION;
    }
    replay->end = 0;
}

/* Look at the block where the search stands, and set *@ret_is_flush if a flush begins there; then
 * its header is in replay->header. */
static enum pyr_err rest_look(struct wal_replay *replay,
                              bool *ret_is_flush,
                              struct pyr_error *reterr)
{
    ASSERT(replay->rest_file);

    const struct wal_identity *identity = &replay->options.files->identity;
    const struct wal_file *file = replay->rest_file;
    int64_t position = replay->rest_position;
    const uint8_t *data = NULL;
    enum pyr_err err = look_at(replay, file, position, BLOCK_BYTES, &data, reterr);
    if (err != PYR_OK) {
        return err;
    }
    ASSERT(data);
    uint64_t place = file->generation * identity->file_bytes + (uint64_t)position;
    *ret_is_flush = get_le32(data) == WAL_FLUSH_MAGIC &&
                    wal_flush_header_decode(identity, place, data, &replay->header);
    return PYR_OK;
}

enum pyr_err wal_replay_rest_next(struct wal_replay *replay,
                                  const struct wal_flush_header **ret_header,
                                  struct pyr_error *reterr)
{
    ASSERT(ret_header);
    ASSERT(replay->rest_position % BLOCK_BYTES == 0);

    const struct wal_files *files = replay->options.files;
    int64_t end = (int64_t)files->identity.file_bytes - BLOCK_BYTES;
    *ret_header = NULL;
    replay->end = 0;
    while (replay->rest_file) {
        bool is_flush = false;
        enum pyr_err err = PYR_OK;
        if (replay->rest_position < end && replay->rest_file->state != WAL_FILE_DAMAGED) {
            err = rest_look(replay, &is_flush, reterr);
        }
        if (err != PYR_OK) {
            return err;
        }
        replay->rest_position += BLOCK_BYTES;
        if (replay->rest_position >= end) {
            replay->rest_file = wal_files_after(files, replay->rest_file->generation);
            replay->rest_position = WAL_FILE_DATA_POSITION;
        }
        if (is_flush) {
            *ret_header = &replay->header;
            return PYR_OK;
        }
    }
    return PYR_OK;
}

enum pyr_err wal_replay_rest_entries(struct wal_replay *replay, struct pyr_error *reterr)
{
    ASSERT(replay->header.position > 0);

    const struct wal_identity *identity = &replay->options.files->identity;
    uint64_t place = replay->header.position;
    const struct wal_file *file =
        wal_files_find(replay->options.files, wal_generation_of(identity, place));
    ASSERT(file);
    enum pyr_err err = look_at(replay, file, wal_file_position_of(identity, place),
                               replay->header.bytes, &replay->flush, reterr);
    if (err != PYR_OK) {
        return err;
    }
    replay->at = WAL_FLUSH_HEADER_BYTES;
    replay->seed = wal_entry_seed(
        identity, &(struct wal_place){place, replay->header.run, replay->header.sequence});
    (void)entries_are_good(replay); /* Those before the first bad one can still be read. */
    return PYR_OK;
}

/* Say in the report why and how much is cut. */
static void rest_report(struct wal_replay *replay, const struct rest *rest, const char *path)
{
    ASSERT(rest->proof_upto <= rest->good_end); /* WAL-9 */
    ASSERT(path);

    struct wal_replay_report *report = &replay->report;
    int64_t position = wal_file_position_of(&replay->options.files->identity, rest->bad_position);
    if (rest->cut_bytes > 0) {
        report->cut = WAL_CUT_TORN;
        report->bytes_cut = rest->cut_bytes;
        (void)snprintf(report->cut_reason, sizeof report->cut_reason,
                       "'%s' at position %lld: a flush that was not yet durable is torn", path,
                       (long long)position);
    } else if (rest->leftovers > 0) {
        report->cut = WAL_CUT_LEFTOVER;
    }
}

/* Look at everything behind the last good flush. */
static enum pyr_err rest_search(struct wal_replay *replay,
                                struct rest *rest,
                                struct pyr_error *reterr)
{
    ASSERT(rest->bad_position == replay->link.position);
    ASSERT(rest->good_end == replay->good_end);

    wal_replay_rest_begin(replay);
    const struct wal_flush_header *header = NULL;
    do {
        enum pyr_err err = wal_replay_rest_next(replay, &header, reterr);
        if (err != PYR_OK) {
            return err;
        }
        if (header) {
            rest_note(rest, &replay->link, header);
        }
    } while (header);
    return PYR_OK;
}

/* Return whether no flush can stand behind the last good one: it ended a clean stop of the newest
 * run, or no run has ever written here. */
static bool nothing_follows(const struct wal_replay *replay)
{
    ASSERT(!replay->is_ended);

    if (!replay->options.has_run) {
        return false;
    }
    bool is_last = replay->report.was_clean && replay->link.run == replay->options.run;
    return is_last || replay->options.run == 0; /* WAL-7 */
}

/* The chain has ended: decide between torn and corrupt (REPL-2). */
static enum pyr_err replay_end(struct wal_replay *replay, struct pyr_error *reterr)
{
    ASSERT(!replay->is_ended);
    ASSERT(replay->good_end <= replay->link.position);

    const struct wal_files *files = replay->options.files;
    uint64_t generation = wal_generation_of(&files->identity, replay->link.position);
    struct rest rest = {
        .bad_position = replay->link.position,
        .good_end = replay->good_end,
        .proof_upto = replay->options.checkpoint_durable_upto,
    };
    const struct wal_file *file = wal_files_find(files, generation);
    char path[PATH_BYTES_MAX];
    wal_files_path(files, file ? file->slot : 0, path);
    enum pyr_err err = nothing_follows(replay) ? PYR_OK : rest_search(replay, &rest, reterr);
    if (err != PYR_OK) {
        return err;
    }
    replay->proof_upto = rest.proof_upto;
    if (rest.proof_upto > rest.good_end && !MUTANT(corrupt_tail_as_torn)) { /* REPL-2 */
        return err_set(reterr, PYR_ERR_CORRUPT,
                       "'%s' at position %lld: a flush is damaged, but %s says that the journal "
                       "was durable up to %llu; 'pyralog log repair' says what would be lost",
                       path, (long long)wal_file_position_of(&files->identity, rest.bad_position),
                       rest.proof_where > 0 ? "a later one" : "the checkpoint",
                       (unsigned long long)rest.proof_upto);
    }
    rest_report(replay, &rest, path);
    replay->is_ended = true;
    return PYR_OK;
}

/* -- Walking -- */

/* Take the current flush, which is good, as the end of the chain. */
static void flush_accept(struct wal_replay *replay)
{
    const struct wal_flush_header *header = &replay->header;
    ASSERT(header->bytes % BLOCK_BYTES == 0);
    /* Outside of the assertion, whose text is kept in the program: no mistake's name is. */
    bool may_follow = header->run >= replay->link.run || MUTANT(recycled_flush_accepted);
    ASSERT(may_follow);

    replay->link = (struct wal_link){
        .position = header->position + header->bytes,
        .sequence = header->sequence,
        .run = header->run,
        .checksum = header->checksum,
        .used = (header->flags & WAL_FLUSH_OPEN) != 0 ? replay->end : header->bytes_used,
    };
    bool is_open = (header->flags & WAL_FLUSH_OPEN) != 0;
    replay->good_end = is_open ? header->position + replay->link.used : replay->link.position;
    replay->is_last_empty = (header->flags & WAL_FLUSH_EMPTY) != 0;
    replay->report.flushes++;
    replay->report.position = replay->link.position;
    replay->report.run = header->run;
    replay->report.was_clean = (header->flags & WAL_FLUSH_CLEAN) != 0;
}

enum pyr_err wal_replay_flush(struct wal_replay *replay,
                              const struct wal_flush_header **ret_header,
                              struct pyr_error *reterr)
{
    ASSERT(replay->options.files);
    ASSERT(ret_header);

    const struct wal_files *files = replay->options.files;
    *ret_header = NULL;
    if (replay->is_ended) {
        return PYR_OK;
    }
    replay->at = 0;
    replay->end = 0;
    uint64_t generation = wal_generation_of(&files->identity, replay->link.position);
    const struct wal_file *file = wal_files_find(files, generation);
    enum verdict verdict = VERDICT_ABSENT;
    enum pyr_err err = PYR_OK;
    if (file) {
        int64_t position = wal_file_position_of(&files->identity, replay->link.position);
        err = flush_try(replay, file, position, &verdict, reterr);
    }
    const struct wal_file *next = wal_files_after(files, generation);
    if (err == PYR_OK && verdict == VERDICT_ABSENT && next) {
        err = flush_try(replay, next, WAL_FILE_DATA_POSITION, &verdict, reterr);
    }
    if (err != PYR_OK) {
        return err;
    }
    if (verdict != VERDICT_GOOD) {
        replay->end = 0;
        return replay_end(replay, reterr);
    }
    flush_accept(replay);
    *ret_header = &replay->header;
    return PYR_OK;
}

bool wal_replay_entry(struct wal_replay *replay, struct wal_entry_view *ret_view)
{
    ASSERT(ret_view);

    if (replay->at >= replay->end) {
        return false;
    }
    struct bytes flush = {replay->flush, replay->end};
    bool is_good = wal_entry_decode(flush, replay->at, replay->seed, ret_view);
    ASSERT(is_good); /* REPL-1: entries_are_good() has passed it. */
    entry_fill(replay, ret_view, replay->at);
    replay->at += ret_view->bytes;
    return true;
}

/* A mark of a later checkpoint than the one at hand: that one was lost, or replaced by an older
 * one, and files that it needs may have been recycled. */
static enum pyr_err mark_check(const struct wal_replay *replay,
                               const struct wal_entry_view *view,
                               struct pyr_error *reterr)
{
    ASSERT(view->entry.kind == WAL_ENTRY_CHECKPOINT);

    struct wal_mark mark = {0};
    bool is_mark = wal_mark_decode(view->entry.parts[0], &mark);
    ASSERT(is_mark);
    if (mark.number <= replay->options.checkpoint_number) {
        return PYR_OK;
    }
    return err_set(reterr, PYR_ERR_CORRUPT,
                   "'%s/checkpoint' has number %llu, but the journal marks number %llu as made",
                   replay->options.files->folder,
                   (unsigned long long)replay->options.checkpoint_number,
                   (unsigned long long)mark.number);
}

/* Give the next entry of the current flush that a caller wrote, or NULL if there is none left. */
static enum pyr_err flush_entry_next(struct wal_replay *replay,
                                     const struct wal_replay_entry **ret_entry,
                                     struct pyr_error *reterr)
{
    ASSERT(ret_entry);
    ASSERT(!replay->is_ended);

    struct wal_entry_view view;
    *ret_entry = NULL;
    while (!*ret_entry && wal_replay_entry(replay, &view)) {
        bool is_mark = view.entry.kind == WAL_ENTRY_CHECKPOINT;
        enum pyr_err err = is_mark ? mark_check(replay, &view, reterr) : PYR_OK;
        if (err != PYR_OK) {
            return err;
        }
        /* A repeat's original stood in the flush before, which was good or is covered by the
         * checkpoint. Repeats are there for a repair. */
        bool is_repeat = (view.flags & WAL_ENTRY_REPEAT) != 0;
        *ret_entry = is_mark || is_repeat ? NULL : &replay->entry;
    }
    return PYR_OK;
}

enum pyr_err wal_replay_entry_next(struct wal_replay *replay,
                                   const struct wal_replay_entry **ret_entry,
                                   struct pyr_error *reterr)
{
    ASSERT(ret_entry);
    ASSERT(replay->at <= replay->end || replay->end == 0);

    *ret_entry = NULL;
    while (!replay->is_ended) {
        enum pyr_err err = flush_entry_next(replay, ret_entry, reterr);
        if (err != PYR_OK) {
            return err;
        }
        if (*ret_entry) {
            replay->report.entries++;
            return PYR_OK;
        }
        const struct wal_flush_header *header = NULL;
        err = wal_replay_flush(replay, &header, reterr);
        if (err != PYR_OK) {
            return err;
        }
    }
    return PYR_OK;
}
