/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io/seam - helpers of the shared suite that are the same for every implementation.
 */
#include "seam.h"

#include <stdio.h>

#include "base/limits.h"
#include "lib/case.h"

const char *seam_path(const char *folder, const char *name)
{
    static char paths[4][PATH_BYTES_MAX];
    static size_t turn;

    char *path = paths[turn++ % 4];
    int count = snprintf(path, PATH_BYTES_MAX, "%s/%s", folder, name);
    CHECK(count > 0 && count < PATH_BYTES_MAX);
    return path;
}

struct io_loop *seam_loop(struct io *io, const struct seam_options *options)
{
    struct io_loop *loop = NULL;
    struct io_loop_options loop_options = {.ops_max = 8,
                                           .helps_while_waiting = options->helps_while_waiting};

    CHECK_INT(io_loop_create(io, &loop_options, &loop), 0);
    CHECK(loop);
    return loop;
}

void seam_drain(struct io_loop *loop)
{
    while (io_loop_pending(loop) > 0) {
        io_loop_wait(loop, IO_TIME_NEVER);
        (void)io_loop_dispatch(loop);
    }
}
