/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record/pack - what other clients do to records: each codec's own library packs them.
 */
#ifndef RECORD_PACK_H
#define RECORD_PACK_H

#include "base/bytes.h"

/* A way in which some client packs. */
enum pack_way {
    PACK_WAY_GZIP,
    PACK_WAY_SNAPPY_RAW,
    PACK_WAY_SNAPPY_JAVA,
    PACK_WAY_LZ4_JAVA,     /* Independent, 64 KiB, nothing else: FLG 60. */
    PACK_WAY_LZ4_DEFAULTS, /* LZ4F's own, linked above one block: FLG 40. */
    PACK_WAY_LZ4_CHECKED,  /* Every checksum there is, 4 MiB blocks. */
    PACK_WAY_ZSTD,
    PACK_WAY_ZSTD_STREAM, /* As Java's stream: the size is not said. */
    PACK_WAY_END,
};

/** Return the codec number of @way. */
int pack_codec(enum pack_way way);

/** Pack @data in @way. Gives: free. */
struct bytes_mut pack(enum pack_way way, struct bytes data);

#endif /* RECORD_PACK_H */
