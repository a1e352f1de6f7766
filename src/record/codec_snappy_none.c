/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record/codec_snappy_none - stands in for codec_snappy.c in a build without snappy.
 */
#include "record/codec_table.h"

const struct codec_row codec_row_snappy = {NULL, NULL, NULL};
