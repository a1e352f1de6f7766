/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io/seam_sim - the shared suite on the simulator.
 */
#include "lib/case.h"
#include "seam.h"
#include "sim/sim_io.h"

struct io *seam_create(const struct seam_options *options)
{
    static struct sim_disk *disks[4];
    static size_t turn;

    struct sim_disk **disk = &disks[turn++ % 4];
    sim_disk_destroy(*disk); /* That of an earlier test, whose environment is gone. */
    *disk = sim_disk_create();
    return sim_io(sim_create(&(struct sim_options){.disk = *disk,
                                                   .seed = 1,
                                                   .without_direct = options->without_direct,
                                                   .block_bytes = options->block_bytes}));
}

const char *seam_folder(struct io *io)
{
    (void)io;
    return "";
}

bool seam_is_real(void)
{
    return false;
}
