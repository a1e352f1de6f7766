/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record/codec_zstd_none - stands in for codec_zstd.c in a build without zstd.
 */
#include "record/codec_table.h"

const struct codec_row codec_row_zstd = {NULL, NULL, NULL};
