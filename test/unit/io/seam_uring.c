/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io/seam_uring - the shared suite on the backend uring.
 */
#include "lib/case.h"
#include "seam.h"

struct io *seam_create(const struct seam_options *options)
{
    struct io *io = NULL;
    struct pyr_error error = {0};
    struct io_options io_options = {.backend = IO_BACKEND_URING,
                                    .job_threads = 2,
                                    .seed = 1,
                                    .without_direct = options->without_direct,
                                    .without_dsync = options->without_dsync,
                                    .block_bytes = options->block_bytes};

    enum pyr_err err = io_create(&io_options, &io, &error);
    if (err == PYR_ERR_UNSUPPORTED) {
        case_skip(error.message);
    }
    CHECK_INT(err, PYR_OK);
    return io;
}

const char *seam_folder(struct io *io)
{
    (void)io;
    return case_folder();
}

bool seam_is_real(void)
{
    return true;
}
