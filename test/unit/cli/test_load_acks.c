/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/load_acks - the judge of pyralog-load: it must see each way in which a log can break its
 * word.
 */
#include <stdio.h>

#include "cli/load_acks.h"
#include "lib/case.h"

/* -- Helpers -- */

static enum pyr_err feed(struct acks *acks, const char *lines, struct pyr_error *reterr)
{
    return acks_feed(acks, bytes_of_text(lines), reterr);
}

static enum acks_verdict check_at(struct acks *acks, uint64_t sequence, int64_t offset)
{
    const struct load_record record = {.run = 1, .stream = 0, .sequence = sequence};
    enum acks_verdict verdict = ACKS_FINE;
    int64_t detail = 0;
    CHECK_INT(acks_check(acks, &record, offset, 0, &verdict, &detail), PYR_OK);
    return verdict;
}

/* -- acks_feed -- */

/* Lines come through a pipe in any pieces. */
TEST(acks_feed, takes_lines_in_pieces)
{
    struct acks acks = {.rows = NULL};
    const char *lines = "pyralog-load acks 1\n1 0 0 10 100\n1 0 10 5 110\n1 1 0 2 115\n";

    for (size_t index = 0; lines[index]; index++) {
        struct bytes one = {(const uint8_t *)lines + index, 1};
        CHECK_INT(acks_feed(&acks, one, NULL), PYR_OK);
    }

    CHECK_INT(acks.acked, 17);
    CHECK_INT(acks.row_count, 2);
    CHECK_INT(acks.rows[0].acked_end, 15);
    CHECK_INT(acks.rows[0].range_count, 1);
    acks_deinit(&acks);
}

/* A kill may leave half a line; it says nothing, and must not be an error. */
TEST(acks_feed, ignores_a_last_line_without_its_end)
{
    struct acks acks = {.rows = NULL};

    CHECK_INT(feed(&acks, "1 0 0 10 100\n1 0 10 5 11", NULL), PYR_OK);

    CHECK_INT(acks.acked, 10);
    acks_deinit(&acks);
}

/* A file that is none of ours must not turn into an empty, and so passing, verification. */
TEST(acks_feed, refuses_lines_that_are_none)
{
    static const char *const bad[] = {
        "\n",           "hello\n",       "1 0 0 10\n",           "1 0 0 10 100 1\n",
        "1 0 0 0 1\n",  "-1 0 0 10 1\n", "4294967296 0 0 1 1\n", "1 0 0 99999999999999999999 1\n",
        " 1 0 0 1 1\n", "1  0 0 1 1\n",  "1 0 0 1 1\r\n",
    };
    for (size_t index = 0; index < sizeof bad / sizeof *bad; index++) {
        struct acks acks = {.rows = NULL};
        struct pyr_error error;
        CHECK_INT(feed(&acks, bad[index], &error), PYR_ERR_CORRUPT);
        CHECK(strncmp(error.message, "line 1: ", 8) == 0);
        acks_deinit(&acks);
    }
}

/* A stream that jumps was not written by one appender after the other. */
TEST(acks_feed, refuses_a_stream_that_jumps)
{
    struct acks acks = {.rows = NULL};
    struct pyr_error error;

    CHECK_INT(feed(&acks, "1 0 0 10 100\n1 0 11 5 110\n", &error), PYR_ERR_CORRUPT);

    CHECK_TEXT(error.message,
               "line 2: stream 0 of run 1 goes on at 11, but was acknowledged up to 10");
    acks_deinit(&acks);
}

/* Many streams make the table grow; none may get lost on the way. */
TEST(acks_feed, keeps_thousands_of_streams_apart)
{
    struct acks acks = {.rows = NULL};

    enum { STREAMS = 5000 };

    for (uint32_t stream = 0; stream < STREAMS; stream++) {
        const struct ack ack = {.run = stream % 7, .stream = stream, .count = stream + 1};
        CHECK_INT(acks_add(&acks, &ack, NULL), PYR_OK);
    }

    CHECK_INT(acks.row_count, STREAMS);
    for (uint32_t index = 0; index < STREAMS; index++) {
        CHECK_INT(acks.rows[index].acked_end, acks.rows[index].stream + 1);
    }
    acks_deinit(&acks);
}

/* -- acks_check -- */

/* ACK-1: what passes is a log that kept its word, and what more was in flight. */
TEST(acks_check, passes_records_in_sequence_at_their_offsets)
{
    struct acks acks = {.rows = NULL};
    CHECK_INT(feed(&acks, "1 0 0 2 100\n1 0 2 1 105\n", NULL), PYR_OK);

    CHECK_INT(check_at(&acks, 0, 100), ACKS_FINE);
    CHECK_INT(check_at(&acks, 1, 101), ACKS_FINE);
    CHECK_INT(check_at(&acks, 2, 105), ACKS_FINE);
    CHECK_INT(check_at(&acks, 3, 106), ACKS_FINE);

    CHECK_INT(acks_missing(&acks.rows[0], 0), 0);
    acks_deinit(&acks);
}

/* ACK-1: each way to break it. */
TEST(acks_check, sees_gaps_repetitions_and_wrong_offsets)
{
    struct acks acks = {.rows = NULL};
    CHECK_INT(feed(&acks, "1 0 0 4 100\n", NULL), PYR_OK);

    CHECK_INT(check_at(&acks, 0, 100), ACKS_FINE);
    CHECK_INT(check_at(&acks, 0, 101), ACKS_REPEATED);
    CHECK_INT(check_at(&acks, 2, 102), ACKS_GAP);
    CHECK_INT(check_at(&acks, 1, 103), ACKS_REPEATED);
    CHECK_INT(check_at(&acks, 3, 104), ACKS_MISPLACED);
    acks_deinit(&acks);
}

/* ACK-1: a log that ends early lost what it acknowledged. */
TEST(acks_missing, counts_what_never_came)
{
    struct acks acks = {.rows = NULL};
    CHECK_INT(feed(&acks, "1 0 0 10 100\n", NULL), PYR_OK);

    CHECK_INT(acks_missing(&acks.rows[0], 0), 10);
    CHECK_INT(check_at(&acks, 0, 100), ACKS_FINE);
    CHECK_INT(acks_missing(&acks.rows[0], 0), 9);
    acks_deinit(&acks);
}

/* What was deleted on purpose is not lost. */
TEST(acks_missing, leaves_out_what_lies_below_the_start_of_the_log)
{
    struct acks acks = {.rows = NULL};
    CHECK_INT(feed(&acks, "1 0 0 10 100\n1 0 10 10 200\n", NULL), PYR_OK);

    CHECK_INT(acks_missing(&acks.rows[0], 104), 16);
    CHECK_INT(acks_missing(&acks.rows[0], 205), 5);
    CHECK_INT(acks_missing(&acks.rows[0], 300), 0);
    acks_deinit(&acks);
}
