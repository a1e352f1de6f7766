/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal/handover - the open flush: entries that are with the kernel when wal_append returns.
 *
 * Part of the path:  wal_append, WAL_NEED_WRITTEN_NOW -> [handover] -> page cache
 *
 * A flush for each such entry would cost a block of journal and a device write. Instead an extent
 * is set aside with a header that is marked open, and each entry is written behind the one before
 * by a small buffered write through a second handle. The header cannot know how many entries will
 * come: each proves itself by its own checksum, and the header of the next flush says where they
 * ended.
 *
 *   +--------+-------+-------+----+- - - - - - - - - -+--------------------------
 *   | header | entry | entry | e  |  not yet written   | the next flush: says how
 *   | open   |       |       |    |                    | far this one was used
 *   +--------+-------+-------+----+- - - - - - - - - -+--------------------------
 *   P                             P + used             P + extent
 *
 * The first write to a page covers it whole, from a zeroed buffer: otherwise the kernel would read
 * the page from the device first, which takes as long as a hundred writes.
 *
 * Positions report P + used, never P + extent: what lies between holds nothing, and a durable_upto
 * that covered it would make replay miss it.
 *
 * The extent ends when the next entry does not fit or needs something else, and before a sync: a
 * block that holds durable bytes is not written again (WAL-2). Extents begin small and
 * double while nothing comes between, so that a mixture of policies does not waste the journal.
 *
 * Failure modes: a write fails -> the journal fails, and the entry was not appended
 *
 * Threads: the journal's owner; the write blocks, for as long as the page cache takes.
 */
#include "base/assert.h"
#include "wal/journal.h"

enum {
    EXTENT_BYTES_MIN = 16 << 10,
    EXTENT_BYTES_MAX = 256 << 10,
};

/* Return the handle of @file that goes through the page cache. */
static int handle_get(struct wal *wal, struct wal_file *file)
{
    ASSERT(file->file);
    ASSERT(file->state == WAL_FILE_USED);

    if (file->buffered) {
        return 0;
    }
    char path[PATH_BYTES_MAX];
    wal_files_path(&wal->files, file->slot, path);
    return io_open(wal->io, path, IO_OPEN_WRITE, &file->buffered);
}

/* Report what of the open flush is written, if nothing before it is still on its way. */
void wal_handover_progress(struct wal *wal)
{
    ASSERT(!wal->open || wal->open->state == WAL_FLUSH_STATE_OPEN);

    struct wal_flush *flush = wal->open;
    if (!flush || wal->order_first != flush) {
        return;
    }
    uint64_t end = flush->header.position + flush->used;
    if (end > wal->written_position && flush->written == flush->used) {
        wal->written_position = end;
        flush->file->is_unsynced = true;
        wal->unsynced_end = end;
    }
    ASSERT(wal->written_position >= wal->durable_position);
}

/* Write the bytes of the open flush from where it was written to where it is used; a page that was
 * not touched before is written to its end. */
static enum pyr_err extent_write(struct wal *wal, struct wal_flush *flush, struct pyr_error *reterr)
{
    uint32_t from = flush->written;
    uint32_t pages_end = (uint32_t)align_up(from, BLOCK_BYTES);
    uint32_t to =
        flush->used <= pages_end ? flush->used : (uint32_t)align_up(flush->used, BLOCK_BYTES);
    ASSERT(to <= flush->header.bytes);
    ASSERT(from < to);

    struct bytes span = {flush->data + from, to - from};
    int64_t position = wal_file_position_of(&wal->identity, flush->header.position) + from;
    int error = handle_get(wal, flush->file);
    if (error == 0) {
        error = io_write_whole(wal->io, flush->file->buffered, span, position, false);
    }
    if (error != 0) {
        struct pyr_error reason = {0};
        (void)err_set_errno(&reason, error, "write to '%s/%08u.wal'", wal->folder,
                            flush->file->slot);
        reason.code = PYR_ERR_IO;
        wal_fail(wal, &reason);
        return err_set(reterr, PYR_ERR_FAILED, "the journal has failed: %s", reason.message);
    }
    flush->written = flush->used;
    return PYR_OK;
}

void wal_handover_close(struct wal *wal)
{
    struct wal_flush *flush = wal->open;
    ASSERT(flush);
    ASSERT(flush->state == WAL_FLUSH_STATE_OPEN);

    wal->link = (struct wal_link){
        .position = flush->header.position + flush->header.bytes,
        .sequence = flush->header.sequence,
        .run = wal->run,
        .checksum = flush->header.checksum,
        .used = flush->used,
    };
    wal->tail_end = flush->header.position + flush->used;
    wal->is_last_empty = false;
    wal->repeat_count = 0; /* Entries of state never stand in an open flush. */
    wal->repeat_list = 1 - wal->repeat_list;
    flush->state = WAL_FLUSH_STATE_WRITTEN;
    wal->open = NULL;
    wal->counters.flushes++;
    wal->counters.bytes_written += flush->header.bytes;
    wal_flush_retire(wal);
}

/* Begin an extent that takes an entry of @entry_bytes. */
static enum pyr_err extent_begin(struct wal *wal, uint64_t entry_bytes, struct pyr_error *reterr)
{
    ASSERT(!wal->gathering || !wal->open);
    ASSERT(entry_bytes >= WAL_ENTRY_HEADER_BYTES);

    if (wal->open) {
        wal_handover_close(wal);
        uint32_t doubled = 2 * wal->extent_bytes;
        wal->extent_bytes = doubled < EXTENT_BYTES_MAX ? doubled : EXTENT_BYTES_MAX;
    } else {
        wal->extent_bytes = EXTENT_BYTES_MIN;
    }
    struct wal_flush *flush = NULL;
    enum pyr_err err =
        wal_flush_begin(wal, entry_bytes, wal->extent_bytes, WAL_CLASS_DATA, &flush, reterr);
    if (err != PYR_OK) {
        return err;
    }
    ASSERT(flush->used + entry_bytes <= flush->header.bytes);
    memset(flush->data + flush->used, 0, flush->header.bytes - flush->used);
    flush->state = WAL_FLUSH_STATE_OPEN;
    flush->needs_durable = false;
    flush->written = 0;
    flush->header.flags = WAL_FLUSH_OPEN;
    flush->header.bytes_used = WAL_FLUSH_HEADER_BYTES;
    flush->header.durable_upto = wal->durable_position;
    wal_flush_header_encode(&wal->identity, &flush->header, flush->data);
    wal->open = flush;
    return PYR_OK;
}

enum pyr_err wal_handover_append(struct wal *wal,
                                 const struct wal_entry *entry,
                                 uint64_t *ret_position,
                                 struct pyr_error *reterr)
{
    ASSERT(wal->state == WAL_STATE_OPEN);

    uint64_t bytes = wal_entry_bytes(entry);
    ASSERT(entry->kind == WAL_ENTRY_APPEND || entry->kind == WAL_ENTRY_APPEND_INDIRECT);

    bool fits = wal->open && wal->open->used + bytes <= wal->open->header.bytes;
    if (!fits) {
        enum pyr_err err = extent_begin(wal, bytes, reterr);
        if (err != PYR_OK) {
            return err;
        }
    }
    struct wal_flush *flush = wal->open;
    wal_entry_encode(entry, 0, flush->seed, flush->data, flush->used);
    flush->used += (uint32_t)bytes;
    enum pyr_err err = extent_write(wal, flush, reterr);
    if (err != PYR_OK) {
        return err;
    }
    wal_handover_progress(wal);
    wal->entries_end = flush->header.position + flush->used;
    *ret_position = wal->entries_end;
    wal->counters.entries++;
    wal->counters.bytes_entries += bytes;
    return PYR_OK;
}
