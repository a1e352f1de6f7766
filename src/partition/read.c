/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition/read - where an offset's bytes are: in a chunk of the cache, or in a segment.
 *
 * The owner takes a view, which is a reference and some numbers; the reader uses it on its own
 * thread and without the owner, and the owner takes it back. The cache is asked first, because it
 * holds the tail. Nothing at or past the commit point is ever in a view (PAR-2).
 */
#include <inttypes.h>

#include "base/assert.h"
#include "partition/shard_inner.h"

enum pyr_err partition_view_take(struct partition *partition,
                                 int64_t offset,
                                 struct cache_place *place,
                                 struct partition_view *ret_view,
                                 struct pyr_error *reterr)
{
    ASSERT(partition->offset_committed <= partition->offset_end);
    ASSERT(partition->offset_start <= partition->offset_end);
    ASSERT(partition->offset_written <= partition->offset_end);
    ASSERT(ret_view);

    enum pyr_err err = partition_check(partition, reterr);
    if (err != PYR_OK) {
        return err;
    }
    if (offset < partition->offset_start || offset > partition->offset_committed) {
        return err_set(reterr, PYR_ERR_OUT_OF_RANGE,
                       "offset %" PRId64 " of log '%s' is outside of %" PRId64 " to %" PRId64,
                       offset, partition->name, partition->offset_start,
                       partition->offset_committed);
    }
    struct partition_view view = {.offset_end = partition->offset_committed};
    if (offset == partition->offset_committed) {
        *ret_view = view;
        return PYR_OK;
    }
    struct cache_chunk *chunk = cache_acquire(&partition->cached, offset);
    if (chunk) {
        view.kind = PARTITION_VIEW_CACHE;
        view.chunk = chunk;
        view.data = cache_chunk_part(chunk, offset, view.offset_end, place);
        view.offset_next = place->offset;
        ASSERT(view.data.count > 0);
        ASSERT(view.offset_next <= view.offset_end); /* PAR-2 */
        *ret_view = view;
        return PYR_OK;
    }
    err = segment_log_view(partition->segments, offset, &view.segment, reterr);
    if (err != PYR_OK) {
        err_wrap(reterr, "log '%s'", partition->name);
        return err;
    }
    view.kind = PARTITION_VIEW_SEGMENT;
    *ret_view = view;
    return PYR_OK;
}

void partition_view_release(struct partition *partition, struct partition_view *view)
{
    ASSERT(view->kind <= PARTITION_VIEW_SEGMENT);
    ASSERT(partition->offset_written <= partition->offset_end);
    ASSERT(view);

    switch (view->kind) {
    case PARTITION_VIEW_NONE:
        break;
    case PARTITION_VIEW_CACHE:
        cache_chunk_release(view->chunk);
        break;
    case PARTITION_VIEW_SEGMENT:
        segment_log_view_release(partition->segments, &view->segment);
        break;
    }
    *view = (struct partition_view){.kind = PARTITION_VIEW_NONE};
}
