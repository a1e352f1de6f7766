/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The adaptive rule: what is kept, how it backs off, what is counted.
 */
#include "base/prng.h"
#include "lib/case.h"
#include "record/adaptive.h"
#include "record/compress.h"

/* A frame around little costs more than it saves. */
TEST(adaptive, leaves_small_batches_alone)
{
    struct adaptive adaptive = {.backoff = 0};

    CHECK(!adaptive_should_try(&adaptive, 1023));
    CHECK(adaptive_should_try(&adaptive, 1024));
    CHECK_INT(adaptive.counters.batches, 2);
    CHECK_INT(adaptive.counters.tried, 0);
}

/* REC-7: an eighth, to the byte. */
TEST(adaptive, keeps_what_saves_an_eighth)
{
    struct adaptive adaptive = {.backoff = 0};

    CHECK(adaptive_should_try(&adaptive, 8000));
    CHECK(adaptive_learn(&adaptive, 8000, 7000, 5));
    CHECK(adaptive_should_try(&adaptive, 8000));
    CHECK(!adaptive_learn(&adaptive, 8000, 7001, 6));

    CHECK_INT(adaptive.counters.kept, 1);
    CHECK_INT(adaptive.counters.tried, 2);
    CHECK_INT(adaptive.counters.bytes_in, 16000);
    CHECK_INT(adaptive.counters.bytes_out, 15000);
    CHECK_INT(adaptive.counters.duration_ns, 11);
}

/* REC-7: the gaps between tries of a stream that never shrinks double up to 64; the first success
 * brings every batch back. */
TEST(adaptive, tries_ever_less_often_until_something_shrinks)
{
    static const int gaps[] = {1, 2, 4, 8, 16, 32, 64, 64, 64};
    struct adaptive adaptive = {.backoff = 0};
    for (size_t index = 0; index < sizeof gaps / sizeof gaps[0]; index++) {
        int gap = 1;
        while (!adaptive_should_try(&adaptive, 5000)) {
            gap++;
        }
        CHECK_INT(gap, gaps[index]);
        CHECK(!adaptive_learn(&adaptive, 5000, 0, 0));
    }
    while (!adaptive_should_try(&adaptive, 5000)) {
    }

    CHECK(adaptive_learn(&adaptive, 5000, 100, 0));

    CHECK(adaptive_should_try(&adaptive, 5000));
    CHECK(!adaptive_learn(&adaptive, 5000, 0, 0));
    CHECK(!adaptive_should_try(&adaptive, 5000));
    CHECK(adaptive_should_try(&adaptive, 5000)); /* Back at 1 in 2. */
}

/* Together with the packer: noise is given up within the room, text is kept. */
TEST(adaptive, tells_noise_from_text)
{
    static uint8_t noise[20000];
    static uint8_t text[20000];
    static uint8_t out[20000];
    struct prng prng = prng_of(4, 0);
    prng_fill(&prng, (struct bytes_mut){noise, sizeof noise});
    memset(text, 'a', sizeof text);
    struct bytes_mut workspace = {malloc(compress_pack_workspace_bytes()),
                                  compress_pack_workspace_bytes()};
    CHECK(workspace.data);
    struct bytes_mut room = {out, adaptive_room(sizeof noise)};
    struct adaptive adaptive = {.backoff = 0};
    size_t bytes = 0;

    CHECK(adaptive_should_try(&adaptive, sizeof noise));
    CHECK(compress_pack((struct bytes){noise, sizeof noise}, workspace, room, &bytes, NULL) !=
          PYR_OK);
    CHECK(!adaptive_learn(&adaptive, sizeof noise, bytes, 0));
    adaptive = (struct adaptive){.backoff = 0};
    CHECK(adaptive_should_try(&adaptive, sizeof text));
    CHECK(compress_pack((struct bytes){text, sizeof text}, workspace, room, &bytes, NULL) ==
          PYR_OK);
    CHECK(adaptive_learn(&adaptive, sizeof text, bytes, 0));
    free(workspace.data);
}
