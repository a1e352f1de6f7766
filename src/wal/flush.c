/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal/flush - gathering entries into flushes, handing them over, and what their completions mean.
 *
 * Part of the path:  wal_append -> [gather -> close -> submit -> complete -> retire] -> positions
 *
 * The place of a flush is fixed when its first entry comes: behind the flush before it if it fits
 * there, else at the start of the next ready file. So entries are sealed as they are copied (their
 * checksum covers the place), and wal_append can return a final journal position.
 *
 * Completions come in any order (IO-3). They are retired from the front of the order only. A flush
 * written with the durable flag makes itself durable, nothing before it; behind one written without
 * the flag the durable position waits for a sync (sync.c).
 *
 * Failure modes: error of a write or sync -> wal_fail; a short write is resumed by io/transfer
 * before anything is reported
 *
 * Threads: the journal's owner; completions arrive inside io_loop_dispatch().
 */
#include <errno.h>

#include "base/assert.h"
#include "base/mutant.h"
#include "wal/journal.h"

/* -- The order and the pool -- */

static struct wal_flush *pool_take(struct wal *wal, bool is_large)
{
    ASSERT(wal->flush_count >= 2);

    struct wal_flush *flush = is_large ? wal->large : wal->free_first;
    if (!flush) {
        return NULL;
    }
    ASSERT(flush->state == WAL_FLUSH_STATE_FREE);
    if (is_large) {
        wal->large = NULL;
    } else {
        wal->free_first = flush->next;
    }
    flush->next = NULL;
    return flush;
}

static void pool_give(struct wal *wal, struct wal_flush *flush)
{
    ASSERT(flush->wal == wal);
    ASSERT(flush->state == WAL_FLUSH_STATE_WRITTEN);

    flush->state = WAL_FLUSH_STATE_FREE;
    bool is_large = flush == &wal->flushes[wal->flush_count - 1];
    if (is_large) {
        wal->large = flush;
    } else {
        flush->next = wal->free_first; /* Last in, first out: its memory is still in the cache. */
        wal->free_first = flush;
    }
}

static void order_push(struct wal *wal, struct wal_flush *flush)
{
    ASSERT((wal->order_first == NULL) == (wal->order_last == NULL));
    ASSERT(!flush->next);

    if (wal->order_last) {
        wal->order_last->next = flush;
    } else {
        wal->order_first = flush;
    }
    wal->order_last = flush;
}

/* -- The place of a flush -- */

/* Return whether an entry of @class may go on where the journal stands, or into a new file. */
static bool class_may(const struct wal *wal, enum wal_class class, bool is_roll)
{
    ASSERT(class <= WAL_CLASS_MARK);
    ASSERT(wal->active);

    if (!is_roll) {
        return class != WAL_CLASS_DATA || !wal->is_reserve_taken;
    }
    uint32_t ready = wal_files_count(&wal->files, WAL_FILE_READY);
    switch (class) {
    case WAL_CLASS_DATA:
        return ready > WAL_FILES_RESERVED; /* WAL-8 */
    case WAL_CLASS_STATE:
        return ready > 1;
    case WAL_CLASS_MARK:
        return ready > 0;
    }
    return false;
}

/* Make the next ready file the active one; the caller has asked class_may(). */
static void file_roll(struct wal *wal)
{
    uint32_t ready = wal_files_count(&wal->files, WAL_FILE_READY);
    struct wal_file *next = NULL;
    for (uint32_t index = 0; index < wal->files.count; index++) {
        struct wal_file *file = &wal->files.rows[index];
        bool is_lower =
            file->state == WAL_FILE_READY && (!next || file->generation < next->generation);
        next = is_lower ? file : next;
    }
    ASSERT(next);
    ASSERT(next->generation > wal->active->generation);
    ASSERT(next->headers_bad == 0); /* WALX-1 */
    ASSERT(!next->is_half);

    next->state = WAL_FILE_USED;
    wal->active = next;
    wal->is_reserve_taken = wal->is_reserve_taken || ready <= WAL_FILES_RESERVED;
    wal->is_prepare_due = true;
    wal->link.position =
        next->generation * wal->identity.file_bytes + (uint64_t)WAL_FILE_DATA_POSITION;
}

/* Find room for a flush of @bytes, in the active file or the next. */
static enum pyr_err place_find(struct wal *wal,
                               uint64_t bytes,
                               enum wal_class class,
                               struct pyr_error *reterr)
{
    ASSERT(!wal->gathering);
    ASSERT(bytes <= wal_file_room(&wal->identity));

    bool is_roll = bytes > wal_file_left(&wal->identity, wal->link.position);
    if (class_may(wal, class, is_roll)) {
        if (is_roll) {
            file_roll(wal);
        }
        return PYR_OK;
    }
    wal->counters.waits_spare++;
    if (wal->is_disk_full) {
        return err_set(reterr, PYR_ERR_DISK_FULL, "no journal file can be made in '%s'",
                       wal->folder);
    }
    return err_set(reterr, PYR_ERR_BUSY, "no journal file is ready in '%s'", wal->folder);
}

/* -- Opening and closing a flush -- */

static struct wal_repeat *repeats_of(struct wal *wal, uint32_t list)
{
    ASSERT(wal->repeats);
    ASSERT(list <= 1);

    return wal->repeats + (size_t)list * WAL_STATE_ENTRIES_MAX;
}

/* Return the bytes of a flush's header and of what it repeats. */
static uint64_t repeats_bytes(struct wal *wal)
{
    ASSERT(wal->repeat_count <= WAL_STATE_ENTRIES_MAX);

    const struct wal_repeat *repeats = repeats_of(wal, 1 - wal->repeat_list);
    uint64_t bytes = WAL_FLUSH_HEADER_BYTES;
    for (uint32_t index = 0; index < wal->repeat_count; index++) {
        bytes += wal_entry_bytes(&repeats[index].entry);
    }
    ASSERT(bytes < UINT32_MAX);
    return bytes;
}

/* Place @flush at the journal's end, with the repeats of the flush before. */
static void flush_place(struct wal *wal, struct wal_flush *flush)
{
    ASSERT(!wal->gathering);
    ASSERT(!wal->open);
    ASSERT(wal->link.position % BLOCK_BYTES == 0);

    flush->state = WAL_FLUSH_STATE_GATHERING;
    flush->file = wal->active;
    flush->used = WAL_FLUSH_HEADER_BYTES;
    flush->entry_count = wal->repeat_count;
    flush->state_count = 0;
    flush->needs_durable = false;
    flush->is_due = false;
    flush->deadline_ns = IO_TIME_NEVER;
    flush->header = (struct wal_flush_header){
        .position = wal->link.position,
        .sequence = wal->link.sequence + 1,
        .run = wal->run,
        .previous_checksum = wal->link.checksum,
        .previous_used = wal->link.used,
    };
    flush->seed =
        wal_entry_seed(&wal->identity, &(struct wal_place){flush->header.position, wal->run,
                                                           flush->header.sequence});
    ASSERT(wal_generation_of(&wal->identity, flush->header.position) == flush->file->generation);
    ASSERT(!wal->order_last ||
           flush->header.sequence > wal->order_last->header.sequence); /* WAL-3 */
    const struct wal_repeat *repeats = repeats_of(wal, 1 - wal->repeat_list);
    for (uint32_t index = 0; index < wal->repeat_count; index++) {
        wal_entry_encode(&repeats[index].entry, WAL_ENTRY_REPEAT, flush->seed, flush->data,
                         flush->used);
        flush->used += (uint32_t)wal_entry_bytes(&repeats[index].entry);
    }
    ASSERT(flush->used <= flush->capacity);
    wal_landmark_add(wal, &wal->link);
    order_push(wal, flush);
}

void wal_flush_close(struct wal *wal)
{
    struct wal_flush *flush = wal->gathering;
    ASSERT(flush);
    ASSERT(flush->state == WAL_FLUSH_STATE_GATHERING);

    flush->header.bytes = (uint32_t)align_up(flush->used, BLOCK_BYTES);
    flush->header.bytes_used = flush->used;
    flush->header.entry_count = flush->entry_count;
    flush->header.durable_upto = wal->durable_position;
    ASSERT(flush->header.bytes <= flush->capacity);
    ASSERT(flush->header.bytes <= wal_file_left(&wal->identity, flush->header.position));
    memset(flush->data + flush->used, 0, flush->header.bytes - flush->used);
    wal_flush_header_encode(&wal->identity, &flush->header, flush->data);

    wal->link = (struct wal_link){
        .position = flush->header.position + flush->header.bytes,
        .sequence = flush->header.sequence,
        .run = wal->run,
        .checksum = flush->header.checksum,
        .used = flush->used,
    };
    wal->repeat_count = flush->state_count;
    wal->repeat_list = 1 - wal->repeat_list;
    wal->tail_end = wal->link.position;
    wal->is_last_empty = (flush->header.flags & WAL_FLUSH_EMPTY) != 0;
    wal->gathering = NULL;
    flush->state = WAL_FLUSH_STATE_QUEUED;
    if (!wal->queue_first) {
        wal->queue_first = flush;
    }
    wal->counters.flushes++;
    wal->counters.bytes_written += flush->header.bytes;
}

/* -- Appending -- */

/* Return whether @bytes more fit into the gathering flush. */
static bool gathering_takes(const struct wal *wal, uint64_t bytes, bool is_state)
{
    ASSERT(bytes >= WAL_ENTRY_HEADER_BYTES);
    ASSERT(!wal->gathering || wal->gathering == wal->order_last);

    const struct wal_flush *flush = wal->gathering;
    if (!flush) {
        return false;
    }
    uint64_t left = wal_file_left(&wal->identity, flush->header.position);
    uint64_t room = flush->capacity < left ? flush->capacity : left;
    bool is_full = is_state && flush->state_count == WAL_STATE_ENTRIES_MAX;
    return flush->used + bytes <= room && !is_full;
}

enum pyr_err wal_flush_begin(struct wal *wal,
                             uint64_t entry_bytes,
                             uint32_t extent_bytes,
                             enum wal_class class,
                             struct wal_flush **ret_flush,
                             struct pyr_error *reterr)
{
    ASSERT(!wal->gathering || !wal->open);
    ASSERT(wal->state == WAL_STATE_OPEN || wal->state == WAL_STATE_STOPPING);

    if (wal->gathering) {
        wal_flush_close(wal);
        wal_flush_submit(wal);
    }
    if (wal->open) {
        wal_handover_close(wal);
    }
    uint64_t wanted = repeats_bytes(wal) + entry_bytes;
    bool is_large = wanted > wal->flushes[0].capacity;
    ASSERT(wanted <= wal->flushes[wal->flush_count - 1].capacity);
    struct wal_flush *flush = pool_take(wal, is_large);
    if (!flush) {
        wal->counters.waits_gather++;
        return err_set(reterr, PYR_ERR_BUSY, "all gather buffers of '%s' are in use", wal->folder);
    }
    wanted = align_up(wanted, BLOCK_BYTES);
    enum pyr_err err = place_find(wal, wanted, class, reterr);
    if (err != PYR_OK) {
        flush->state = WAL_FLUSH_STATE_WRITTEN; /* As if it had been: it goes back unused. */
        pool_give(wal, flush);
        return err;
    }
    uint64_t left = wal_file_left(&wal->identity, wal->link.position);
    uint64_t room = left < flush->capacity ? left : flush->capacity;
    uint64_t bytes = extent_bytes > wanted ? extent_bytes : wanted;
    flush_place(wal, flush);
    flush->header.bytes = (uint32_t)(bytes < room ? bytes : room);
    *ret_flush = flush;
    return PYR_OK;
}

/* Have a gathering flush that @bytes of entry fit into. */
static enum pyr_err gathering_open(struct wal *wal,
                                   uint64_t bytes,
                                   enum wal_class class,
                                   struct pyr_error *reterr)
{
    ASSERT(bytes % WAL_ENTRY_ALIGNMENT == 0);
    ASSERT(bytes > 0);

    return wal_flush_begin(wal, bytes, 0, class, &wal->gathering, reterr);
}

/* Keep a copy of the entry of state @entry for the next flush. */
static void repeat_add(struct wal *wal, const struct wal_entry *entry)
{
    struct wal_flush *flush = wal->gathering;
    ASSERT(flush->state_count < WAL_STATE_ENTRIES_MAX);
    ASSERT(entry->parts[0].count + entry->parts[1].count <= WAL_STATE_PAYLOAD_BYTES_MAX);

    struct wal_repeat *repeat = &repeats_of(wal, wal->repeat_list)[flush->state_count++];
    repeat->entry = *entry;
    size_t count = 0;
    for (size_t part = 0; part < 2; part++) {
        if (entry->parts[part].count > 0) {
            memcpy(repeat->payload + count, entry->parts[part].data, entry->parts[part].count);
            count += entry->parts[part].count;
        }
    }
    repeat->entry.parts[0] = (struct bytes){repeat->payload, count};
    repeat->entry.parts[1] = (struct bytes){0};
}

enum pyr_err wal_flush_append(struct wal *wal,
                              const struct wal_entry *entry,
                              enum wal_class class,
                              uint64_t *ret_position,
                              struct pyr_error *reterr)
{
    ASSERT(ret_position);

    uint64_t bytes = wal_entry_bytes(entry);
    bool is_repeated = entry->kind == WAL_ENTRY_TRUNCATE || entry->kind == WAL_ENTRY_PROMISE;
    if (!gathering_takes(wal, bytes, is_repeated)) {
        enum pyr_err err = gathering_open(wal, bytes, class, reterr);
        if (err != PYR_OK) {
            return err;
        }
    }
    struct wal_flush *flush = wal->gathering;
    ASSERT(flush->used + bytes <= flush->capacity);
    wal_entry_encode(entry, 0, flush->seed, flush->data, flush->used);
    if (is_repeated) {
        repeat_add(wal, entry);
    }
    flush->used += (uint32_t)bytes;
    flush->entry_count++;
    wal->entries_end = flush->header.position + flush->used;
    *ret_position = wal->entries_end;
    wal->counters.entries++;
    wal->counters.bytes_entries += bytes;
    return PYR_OK;
}

bool wal_flush_empty(struct wal *wal, uint16_t flags)
{
    ASSERT(!wal->gathering);
    ASSERT(!wal->is_last_empty || wal->open); /* WAL-6 */

    struct wal_flush *flush = NULL;
    if (wal_flush_begin(wal, 0, 0, WAL_CLASS_STATE, &flush, NULL) != PYR_OK) {
        return false;
    }
    ASSERT(flush);
    wal->gathering = flush;
    flush->header.flags = (uint16_t)(WAL_FLUSH_EMPTY | flags);
    flush->needs_durable = true;
    wal->counters.flushes_empty++;
    wal_flush_close(wal);
    return true;
}

/* -- Completing -- */

void wal_flush_fail(struct wal *wal, const struct wal_file *file, const char *what, int error)
{
    ASSERT(file);
    ASSERT(error > 0);

    char path[PATH_BYTES_MAX];
    wal_files_path(&wal->files, file->slot, path);
    struct pyr_error reason = {0};
    (void)err_set_errno(&reason, error, "%s '%s'", what, path);
    reason.code = PYR_ERR_IO;
    wal_fail(wal, &reason);
}

/* Take @flush, the first of the order, out of it: everything up to its end is written. */
static void flush_retire(struct wal *wal, struct wal_flush *flush)
{
    bool is_open = (flush->header.flags & WAL_FLUSH_OPEN) != 0;
    uint64_t end = flush->header.position + (is_open ? flush->used : flush->header.bytes);
    ASSERT(flush == wal->order_first);
    ASSERT(end > wal->written_position || (is_open && end == wal->written_position));

    wal->order_first = flush->next;
    if (!wal->order_first) {
        wal->order_last = NULL;
    }
    if (!flush->needs_durable && end > wal->written_position) {
        flush->file->is_unsynced = true;
        wal->unsynced_end = end;
    }
    wal->written_position = end;
    if (!flush->needs_durable) {
        /* A sync makes it durable; of an open flush, perhaps one has. */
    } else if (wal->unsynced_end == 0) {
        wal->durable_position = end; /* WAL-1 */
    } else {
        wal->durable_wanted = end > wal->durable_wanted ? end : wal->durable_wanted;
    }
    pool_give(wal, flush);
}

void wal_flush_retire(struct wal *wal)
{
    ASSERT(wal->durable_position <= wal->written_position);

    while (wal->order_first && wal->order_first->state == WAL_FLUSH_STATE_WRITTEN) {
        flush_retire(wal, wal->order_first);
    }
    wal_handover_progress(wal);
    ASSERT(wal->durable_position <= wal->written_position);
}

static void flush_complete(struct io_transfer *transfer)
{
    struct wal_flush *flush = transfer->ctx;
    struct wal *wal = flush->wal;
    ASSERT(flush->state == WAL_FLUSH_STATE_IN_FLIGHT);
    ASSERT(wal->in_flight > 0);

    wal->in_flight--;
    if (wal->state == WAL_STATE_FAILED) {
        return; /* WAL-4: what comes after the failure counts for nothing. */
    }
    if (transfer->error != 0) {
        wal_flush_fail(wal, flush->file, "write", transfer->error);
        return;
    }
    flush->state = WAL_FLUSH_STATE_WRITTEN;
    wal_flush_retire(wal);
    wal_pump(wal);
}

/* -- Submitting -- */

/* Hand @flush to the device. */
static void flush_start(struct wal *wal, struct wal_flush *flush)
{
    ASSERT(flush->state == WAL_FLUSH_STATE_QUEUED);
    ASSERT(flush->header.position >= wal->durable_position); /* WAL-2 */
    ASSERT(wal->in_flight < wal->options.depth);

    int64_t position = wal_file_position_of(&wal->identity, flush->header.position);
    ASSERT(position >= WAL_FILE_DATA_POSITION);
    flush->transfer = (struct io_transfer){
        .kind = IO_OP_WRITE,
        .is_durable = flush->needs_durable,
        .file = flush->file->file,
        .data = flush->data,
        .count = flush->header.bytes,
        .position = position,
        .complete = flush_complete,
        .ctx = flush,
    };
    flush->state = WAL_FLUSH_STATE_IN_FLIGHT;
    wal->in_flight++;
    io_transfer_start(wal->loop, &flush->transfer);
    if (MUTANT(ack_before_durable)) {
        wal->durable_position = flush->header.position + flush->header.bytes;
    }
}

/* Return whether the gathering flush should go now, or else have the timer watch its deadline. */
static bool gathering_is_due(struct wal *wal)
{
    ASSERT(wal->gathering);
    ASSERT(wal->gathering->state == WAL_FLUSH_STATE_GATHERING);

    const struct wal_flush *flush = wal->gathering;
    if (flush->is_due || wal->state == WAL_STATE_STOPPING ||
        flush->deadline_ns <= io_now_mono_ns(wal->io)) {
        return true;
    }
    if (flush->deadline_ns < wal->gather_timer_ns) {
        wal->gather_timer_ns = flush->deadline_ns;
        io_timer_start(wal->loop, &wal->gather_timer, flush->deadline_ns);
    }
    return false;
}

/* Return the next flush of the queue behind @flush, or NULL. Open flushes, which are written
 * without the queue, may stand between. */
static struct wal_flush *queued_behind(const struct wal_flush *flush)
{
    struct wal_flush *next = flush->next;
    while (next && next->state != WAL_FLUSH_STATE_QUEUED) {
        next = next->next;
    }
    return next;
}

void wal_flush_submit(struct wal *wal)
{
    ASSERT(wal->state == WAL_STATE_OPEN || wal->state == WAL_STATE_STOPPING);

    while (wal->in_flight < wal->options.depth) {
        if (!wal->queue_first && wal->gathering && gathering_is_due(wal)) {
            wal_flush_close(wal);
        }
        struct wal_flush *flush = wal->queue_first;
        if (!flush) {
            break;
        }
        ASSERT(flush->state == WAL_FLUSH_STATE_QUEUED);
        wal->queue_first = queued_behind(flush);
        flush_start(wal, flush);
    }
}
