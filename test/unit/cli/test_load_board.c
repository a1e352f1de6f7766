/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/load_board - what is measured is counted once, in the right second, and not in the warm-up.
 */
#include "base/assert.h"
#include "cli/load_board.h"
#include "lib/case.h"

#define SECOND UINT64_C(1000000000)

struct fixture {
    struct load_options options;
    struct load_board *board;
    struct load_result *result;
};

static struct fixture set_up(void)
{
    struct fixture fixture = {.options = {.mode = LOAD_MODE_MIXED, .threads = 1, .readers = 1}};
    CHECK_INT(board_create(&fixture.options, &fixture.board, NULL), PYR_OK);
    fixture.result = calloc(1, sizeof *fixture.result);
    CHECK(fixture.result != NULL);
    ASSERT(fixture.board != NULL); /* The linter does not know that a failed check ends a test. */
    fixture.board->start_ns = 100 * SECOND;
    return fixture;
}

static void tear_down(struct fixture *fixture)
{
    free(fixture->result);
    board_destroy(fixture->board);
}

/* The report's total must be the sum of its seconds. */
TEST(load_board, puts_each_operation_into_one_second_of_its_role)
{
    struct fixture fixture = set_up();
    struct load_lane *writer = &fixture.board->lanes[0];
    struct load_lane *reader = &fixture.board->lanes[1];
    uint64_t start = fixture.board->start_ns;

    board_note(writer, 10, 1000, start, start + 5);
    board_collect(fixture.board, fixture.result, start + SECOND, 0);
    board_note(writer, 1, 100, start + SECOND, start + SECOND + 7);
    board_note(reader, 2, 200, start + SECOND, start + SECOND + 9);
    board_collect_end(fixture.board, fixture.result);

    const struct load_tally *writes = &fixture.result->tallies[LANE_ROLE_WRITER];
    const struct load_tally *reads = &fixture.result->tallies[LANE_ROLE_READER];
    CHECK_INT(writes->records, 11);
    CHECK_INT(writes->bytes, 1100);
    CHECK_INT(writes->latency.count, 2);
    CHECK_INT(writes->latency.max, 7);
    CHECK_INT(tally_sample_count(writes), 2);
    CHECK_INT(tally_sample(writes, 0)->records, 10);
    CHECK_INT(tally_sample(writes, 1)->records, 1);
    CHECK_INT(reads->records, 2);
    tear_down(&fixture);
}

/* Cold caches and first files would be in every result otherwise. */
TEST(load_board, throws_away_what_came_in_the_warm_up)
{
    struct fixture fixture = set_up();
    struct load_lane *writer = &fixture.board->lanes[0];
    uint64_t start = fixture.board->start_ns;
    uint64_t warm = start + SECOND;

    board_note(writer, 10, 1000, start, start + 5);
    board_collect(fixture.board, fixture.result, start + SECOND / 2, warm);
    CHECK(!fixture.result->is_warm);
    board_note(writer, 10, 1000, start, start + 5);
    board_collect(fixture.board, fixture.result, warm, warm);
    CHECK(fixture.result->is_warm);
    board_note(writer, 3, 300, warm, warm + 5);
    board_collect_end(fixture.board, fixture.result);

    CHECK_INT(fixture.result->tallies[LANE_ROLE_WRITER].records, 3);
    CHECK_INT(fixture.result->tallies[LANE_ROLE_WRITER].begin_ns, warm);
    tear_down(&fixture);
}

/* The first error is the cause; what follows is its wake. */
TEST(load_board, keeps_the_first_failure_and_stops_all)
{
    struct fixture fixture = set_up();
    const struct pyr_error first = {.code = PYR_ERR_IO, .message = "first"};
    const struct pyr_error second = {.code = PYR_ERR_FAILED, .message = "second"};
    struct pyr_error error;
    CHECK(!board_failure(fixture.board, &error));

    board_fail(fixture.board, &first);
    board_fail(fixture.board, &second);

    CHECK(board_failure(fixture.board, &error));
    CHECK_TEXT(error.message, "first");
    CHECK(atomic_load(&fixture.board->must_stop));
    tear_down(&fixture);
}
