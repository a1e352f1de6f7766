/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io/uring - the loop backend of io_uring.
 */
#include <errno.h>

#include "io/file_posix.h"

int uring_probe(void)
{
    return ENOSYS;
}

const struct io_ops uring_ops = {
    FILE_POSIX_SLOTS,
};
