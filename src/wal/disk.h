/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal/disk - one reading call of the blocking paths: all of it or an error.
 */
#ifndef WAL_DISK_H
#define WAL_DISK_H

#include <errno.h>

#include "io/transfer.h"

/** Read into all of @span at @position of @file, blocking. Return 0 or an errno value, EIO if the
 * file ends inside. */
MUST_CHECK static inline int wal_disk_read(struct io *io,
                                           struct io_file *file,
                                           struct bytes_mut span,
                                           int64_t position)
{
    size_t count = 0;
    int error = io_read_whole(io, file, span, position, &count);
    return error == 0 && count < span.count ? EIO : error;
}

#endif /* WAL_DISK_H */
