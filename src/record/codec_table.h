/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record/codec_table - what each codec brings, for compress.c alone.
 *
 * One file a codec; a codec that is left out of the build has a file with an empty row instead, so
 * that no function asks the preprocessor.
 */
#ifndef RECORD_CODEC_TABLE_H
#define RECORD_CODEC_TABLE_H

#include <stddef.h>

#include "base/bytes.h"
#include "base/err.h"

/* One codec. All pointers are NULL if it is not built in. */
struct codec_row {
    /** Return the bytes of workspace that unpack needs. */
    size_t (*workspace_bytes)(void);

    /** Tell the size of the unpacked bytes: declared exactly, or bounded from above. Both are held
     * against the limit by the caller; @ret_is_exact says which it is. */
    enum pyr_err (*bytes_max)(struct bytes packed,
                              uint64_t *ret_bytes,
                              bool *ret_is_exact,
                              struct pyr_error *reterr);

    /** Unpack, as compress_unpack does. */
    enum pyr_err (*unpack)(struct bytes packed,
                           struct bytes_mut workspace,
                           struct bytes_mut out,
                           size_t *ret_bytes,
                           struct pyr_error *reterr);
};

extern const struct codec_row codec_row_gzip;
extern const struct codec_row codec_row_snappy;
extern const struct codec_row codec_row_lz4;
extern const struct codec_row codec_row_zstd;

#endif /* RECORD_CODEC_TABLE_H */
