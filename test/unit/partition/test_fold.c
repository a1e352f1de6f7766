/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a replica knows by folding its log: partition/fold.c, and its snapshots:
 * partition/fold_file.c.
 *
 * A log on paper is an array of real batches; what is known after appends, commits and cuts is held
 * against a plain fold over the array from its front.
 */
#include "base/codec.h"
#include "base/prng.h"
#include "io/testing.h"
#include "lib/case.h"
#include "partition/fold.h"
#include "record/control.h"

enum { BATCHES_MAX = 260, BATCH_ROOM = 192, EPOCHS_MAX = BATCHES_MAX, PRODUCERS = 40 };

static const struct log_id log_id = {.value = {7, 7}};

/* The log: batches as they stand there, and whose they are. */
struct paper {
    uint8_t batches[BATCHES_MAX][BATCH_ROOM];
    size_t bytes[BATCHES_MAX];
    int64_t ends[BATCHES_MAX];
    int count;
    int64_t committed;
    int32_t sequences[PRODUCERS];
    int64_t stamp_ms;
    struct epoch_row rows[EPOCHS_MAX];
    struct epoch_table epochs;
};

static struct io *io;
static struct paper paper;

static void paper_begin(void)
{
    const struct io_options options = {.backend = IO_BACKEND_POSIX, .seed = 1};
    assert_int_equal(io_create(&options, &io, NULL), PYR_OK);
    paper = (struct paper){.stamp_ms = 1000};
    paper.epochs = (struct epoch_table){.rows = paper.rows, .count_max = EPOCHS_MAX};
}

static void paper_end(void)
{
    CHECK_INT(io_testing_allocations_live(io), 0);
    io_destroy(io);
}

static struct batch_header header_at(int index)
{
    struct batch_header header;
    struct bytes batch = {paper.batches[index], paper.bytes[index]};
    assert_int_equal(batch_header_read(batch, &header, NULL), PYR_OK);
    return header;
}

static void fold_one(struct fold *fold, int index)
{
    struct batch_header header = header_at(index);
    fold_append(fold, (struct bytes){paper.batches[index], paper.bytes[index]}, &header);
}

/* Put the sealed @batch at the log's end, of @epoch, and fold it in. */
static void paper_put(struct fold *fold, struct bytes_mut batch, int32_t epoch)
{
    int index = paper.count++;
    assert_true(index < BATCHES_MAX);
    batch_set_offset_and_epoch(batch, paper.epochs.offset_end, epoch);
    paper.bytes[index] = batch.count;
    struct batch_header header = header_at(index);
    paper.ends[index] = batch_offset_end(&header);
    epochs_append(&paper.epochs, epoch, paper.ends[index]);
    if (fold) {
        fold_one(fold, index);
    }
}

static struct bytes_mut next_room(void)
{
    return (struct bytes_mut){paper.batches[paper.count], BATCH_ROOM};
}

/* Append @count records of producer @id, or of none, in its order. */
static void put_records(struct fold *fold, int64_t id, int32_t count, int32_t epoch)
{
    struct builder builder;
    struct batch_stamp stamp = BATCH_STAMP_NONE;
    builder_init(&builder, next_room());
    for (int32_t record = 0; record < count; record++) {
        const struct record one = {.timestamp = 5, .value = bytes_of_text("v")};
        assert_int_equal(builder_add(&builder, &one, NULL), PYR_OK);
    }
    if (id != PRODUCER_NO_ID) {
        stamp.producer_id = id;
        stamp.producer_epoch = 1;
        stamp.base_sequence = paper.sequences[id];
        paper.sequences[id] += count;
    }
    paper_put(fold, builder_seal(&builder, &stamp), epoch);
}

static void put_control(struct fold *fold, const struct control *control, int32_t epoch)
{
    paper_put(fold, control_build(next_room(), control, 5), epoch);
}

static void put_drawn(struct fold *fold, struct prng *prng, int32_t epoch)
{
    int64_t id = (int64_t)prng_below(prng, PRODUCERS);
    uint64_t draw = prng_below(prng, 10);
    struct control control = {.type = CONTROL_CLOCK};
    if (draw < 4) {
        put_records(fold, id, 1 + (int32_t)prng_below(prng, 3), epoch);
    } else if (draw < 6) {
        put_records(fold, PRODUCER_NO_ID, 2, epoch);
    } else if (draw == 6) {
        paper.stamp_ms += (int64_t)prng_below(prng, 5000);
        control.as.clock_ms = paper.stamp_ms;
        put_control(fold, &control, epoch);
    } else if (draw == 7) {
        control.type = CONTROL_TOKEN;
        control.as.token = (int64_t)prng_below(prng, 50);
        put_control(fold, &control, epoch);
    } else if (draw == 8) {
        control.type = CONTROL_REFUSAL;
        control.as.refusal =
            (struct control_refusal){id, 1, paper.sequences[id], 2, CONTROL_REASON_END};
        paper.sequences[id] += 2;
        put_control(fold, &control, epoch);
    } else {
        control.type = CONTROL_GAP;
        control.as.gap = (struct control_gap){1, 2, 1025};
        put_control(fold, &control, epoch);
    }
}

static void paper_commit(struct fold *fold, int64_t offset)
{
    paper.committed = offset;
    fold_commit(fold, offset);
}

/* Cut the log behind batch @count. */
static void paper_cut(struct fold *fold, int count)
{
    paper.count = count;
    int64_t end = count > 0 ? paper.ends[count - 1] : 0;
    epochs_truncate(&paper.epochs, end);
    fold_truncate(fold, end);
}

/* Return how many batches end at or below @offset. */
static int batches_below(int64_t offset)
{
    int count = 0;
    while (count < paper.count && paper.ends[count] <= offset) {
        count++;
    }
    return count;
}

/* Fold the first @count batches plainly. */
static void plain_fold(struct fold *plain, int count)
{
    fold_init(plain, io);
    fold_begin(plain, 0, INT64_MAX);
    for (int index = 0; index < count; index++) {
        fold_one(plain, index);
    }
}

static void check_plain(const struct fold *fold, int count)
{
    struct fold plain;
    plain_fold(&plain, count);
    CHECK(fold->is_known);
    CHECK(fold_equal(fold, &plain));
    fold_forget(&plain);
}

/* A snapshot is what a plain fold of what is committed is, and with the rest of the log it is the
 * whole (FOL-3). */
static void check_snapshot(const struct fold *fold)
{
    struct fold other;
    size_t count = 0;
    uint8_t *data = fold_encode(fold, &log_id, &paper.epochs, &count);
    assert_non_null(data);
    CHECK(count <= fold_encoded_bytes_max());
    fold_init(&other, io);
    enum pyr_err err =
        fold_decode(&other, (struct bytes){data, count}, &log_id, &paper.epochs, paper.committed);
    CHECK_INT(err, PYR_OK);
    io_free(io, data);
    int below = batches_below(paper.committed);
    CHECK_INT(other.conditions.offset_end, below > 0 ? paper.ends[below - 1] : 0);
    check_plain(&other, below);
    for (int index = below; index < paper.count; index++) {
        fold_one(&other, index);
    }
    check_plain(&other, paper.count);
    fold_forget(&other);
}

/* Cut, commit or append, as drawn. */
static void happen(struct fold *fold, struct prng *prng, int32_t epoch)
{
    uint64_t draw = prng_below(prng, 40);
    int64_t place = prng_between(prng, batches_below(paper.committed), paper.count);
    if (draw == 0) {
        paper_cut(fold, (int)place);
    } else if (draw == 1) {
        paper_commit(fold, place > 0 ? paper.ends[place - 1] : 0);
    } else {
        put_drawn(fold, prng, epoch);
    }
}

static void walk(uint64_t seed)
{
    struct prng prng = prng_of(seed, 1);
    struct fold fold;
    paper_begin();
    fold_init(&fold, io);
    fold_begin(&fold, 0, 0);
    for (int step = 0; paper.count < BATCHES_MAX - 1; step++) {
        happen(&fold, &prng, 1025 * (1 + step / 20));
        if (step % 7 == 0) {
            check_plain(&fold, paper.count);
            check_snapshot(&fold);
        }
    }
    check_plain(&fold, paper.count);
    fold_forget(&fold);
    paper_end();
}

/* FOL-1: whatever is appended, committed and cut. */
TEST(fold, is_what_the_log_says)
{
    for (uint64_t seed = 1; seed <= 40; seed++) {
        walk(seed);
    }
}

/* Thousands of logs have no producers: what they know takes no rows, and once all is committed
 * large undos are given back. */
TEST(fold, takes_no_row_before_the_first_producer)
{
    struct fold fold;
    paper_begin();
    fold_init(&fold, io);
    fold_begin(&fold, 0, 0);
    put_records(&fold, PRODUCER_NO_ID, 3, 1025);
    paper_commit(&fold, 3);

    CHECK_INT(fold.producers.row_count, 0);
    CHECK_INT(fold.conditions.undo_count_max, FOLD_UNDOS_FIRST);
    CHECK(io_testing_allocations_live(io) <= 2);
    put_records(&fold, 1, 3, 1025);
    CHECK_INT(fold.producers.row_count, FOLD_PRODUCERS_FIRST);
    while (fold.conditions.undo_count_max <= FOLD_UNDOS_KEPT && paper.count < BATCHES_MAX) {
        put_records(&fold, 1, 1, 1025);
    }
    CHECK(fold.conditions.undo_count_max > FOLD_UNDOS_KEPT);
    paper_commit(&fold, paper.epochs.offset_end);
    CHECK_INT(fold.conditions.undo_count_max, 0);
    check_plain(&fold, paper.count);
    fold_forget(&fold);
    paper_end();
}

/* Without memory nothing is known any more; a batch that was reserved for is folded without. */
TEST(fold, says_so_when_it_has_no_memory)
{
    struct fold fold;
    for (uint64_t nth = 1; nth <= 4; nth++) { /* Undos of both, rows, heads. */
        paper_begin();
        fold_init(&fold, io);
        fold_begin(&fold, 0, 0);
        io_testing_fail_allocation(io, nth);
        CHECK_INT(fold_reserve(&fold, 1), PYR_ERR_NO_MEMORY);
        CHECK_INT(fold_reserve(&fold, 1), PYR_OK);
        uint64_t allocations = io_testing_allocations(io);
        put_records(&fold, 1, 1, 1025);
        CHECK_INT(io_testing_allocations(io), allocations);
        check_plain(&fold, 1);

        fold_begin(&fold, 0, 0);
        io_testing_fail_allocation(io, nth);
        fold_one(&fold, 0);
        CHECK(!fold.is_known);
        io_testing_fail_allocation(io, 0);
        fold_one(&fold, 0);
        fold_commit(&fold, 1);
        fold_truncate(&fold, 1);
        CHECK(!fold.is_known);
        fold_forget(&fold);
        paper_end();
    }
}

/* A cut that goes below what a snapshot holds cannot be undone from it. */
TEST(fold, is_forgotten_when_a_cut_is_too_deep)
{
    struct fold fold;
    struct fold other;
    paper_begin();
    fold_init(&fold, io);
    fold_init(&other, io);
    fold_begin(&fold, 0, 0);
    put_records(&fold, 1, 1, 1025);
    put_records(&fold, 1, 1, 1025);
    paper_commit(&fold, 2);
    size_t count = 0;
    uint8_t *data = fold_encode(&fold, &log_id, &paper.epochs, &count);
    struct bytes snapshot = {data, count};

    /* What it is of is committed, but this replica has not heard of it yet. */
    CHECK_INT(fold_decode(&other, snapshot, &log_id, &paper.epochs, 0), PYR_OK);
    fold_truncate(&other, 1);
    CHECK(!other.is_known);
    fold_forget(&fold);
    io_free(io, data);
    paper_end();
}

/* FOL-2: the log has to have its place, by epoch and offset. */
TEST(fold, takes_no_snapshot_of_another_place)
{
    struct fold fold;
    struct fold other;
    struct log_id foreign = {.value = {8}};
    paper_begin();
    fold_init(&fold, io);
    fold_init(&other, io);
    fold_begin(&fold, 0, 0);
    for (int batch = 0; batch < 4; batch++) {
        put_records(&fold, 1, 1, 1025);
    }
    paper_commit(&fold, 4);
    size_t count = 0;
    uint8_t *data = fold_encode(&fold, &log_id, &paper.epochs, &count);
    struct bytes snapshot = {data, count};
    CHECK_INT(fold_decode(&other, snapshot, &foreign, &paper.epochs, 0), PYR_ERR_FOREIGN);
    CHECK(!other.is_known);

    epochs_truncate(&paper.epochs, 3); /* The log ends before. */
    CHECK_INT(fold_decode(&other, snapshot, &log_id, &paper.epochs, 0), PYR_ERR_OUT_OF_RANGE);
    epochs_append(&paper.epochs, 2050, 7); /* Another leader's batches stand there. */
    CHECK_INT(fold_decode(&other, snapshot, &log_id, &paper.epochs, 0), PYR_ERR_OUT_OF_RANGE);
    CHECK(!other.is_known);
    fold_forget(&fold);
    io_free(io, data);
    paper_end();
}

/* A damaged snapshot is none, whatever is damaged. */
TEST(fold, takes_no_damaged_snapshot)
{
    struct fold fold;
    struct fold other;
    paper_begin();
    fold_init(&fold, io);
    fold_init(&other, io);
    fold_begin(&fold, 0, 0);
    put_records(&fold, 1, 2, 1025);
    put_records(&fold, 2, 2, 1025);
    paper_commit(&fold, 4);
    size_t count = 0;
    uint8_t *data = fold_encode(&fold, &log_id, &paper.epochs, &count);
    for (size_t at = 0; at < count; at++) {
        data[at] ^= 0x10;
        CHECK(fold_decode(&other, (struct bytes){data, count}, &log_id, &paper.epochs, 0) !=
              PYR_OK);
        data[at] ^= 0x10;
        CHECK(fold_decode(&other, (struct bytes){data, at}, &log_id, &paper.epochs, 0) != PYR_OK);
        CHECK(!other.is_known);
    }
    for (uint64_t nth = 1; nth <= 2; nth++) {
        io_testing_fail_allocation(io, nth);
        CHECK_INT(fold_decode(&other, (struct bytes){data, count}, &log_id, &paper.epochs, 0),
                  PYR_ERR_NO_MEMORY);
    }
    CHECK_INT(fold_decode(&other, (struct bytes){data, count}, &log_id, &paper.epochs, 0), PYR_OK);
    fold_forget(&other);
    fold_forget(&fold);
    io_free(io, data);
    paper_end();
}

/* The format stands for ever: a snapshot of one batch, from docs/formats/fold.md. */
TEST(fold, gives_the_golden_bytes)
{
    static const uint8_t golden[] = {'P',  'F',  'L',  'D',  1,    0,    0,    0, /* Magic, version.
                                                                                   */
                                     7,    7,    0,    0,    0,    0,    0,    0,    0,
                                     0,    0,    0,    0,    0,    0,    0, /* Log id. */
                                     3,    0,    0,    0,    0,    0,    0,    0,    1,
                                     4,    0,    0,    112,  0,    0,    0, /* Offset 3, epoch 1025,
                                                                               112 bytes. */
                                     2,    0,    0,    0,    0,    0,    0,    0,    42,
                                     0,    0,    0,    0,    0,    0,    0, /* Users' end 2,
                                                                               token 42. */
                                     1,    0,    0,    0,    1,    0,    0,    0,    2,
                                     0,    0,    0,    0,    0,    0,    0, /* Producers: version, a
                                                                               row, end 2, */
                                     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0,
                                     0,    0,    0,    0,    0,    0,    0, /* no stamp, */
                                     0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0,
                                     0,    0,    0,    0,    0,    0,    0, /* nobody lost. */
                                     0xff, 0xff, 0,    0,    0,    0,    0,    0,    9,
                                     0,    0,    0,    0,    0,    0,    0,    0xff, 0xff,
                                     0xff, 0xff, 0xff, 0xff, 0xff, 0xff,          /* Producer 9, */
                                     1,    0,    1,    0,    0,    0,    0,    0, /* epoch 1, one
                                                                                     batch: */
                                     0,    0,    0,    0,    0,    0,    0,    0,    2,
                                     0,    0,    0,    0,    0,    0,    0, /* at 0 to 2, */
                                     0,    0,    0,    0,    2,    0,    0,    0,    0,
                                     0,    0,    0,    0,    0,    0,    0}; /* sequences 0 and 1,
                                                                                no refusal. */
    struct fold fold;
    const struct control token = {.type = CONTROL_TOKEN, .as.token = 42};
    paper_begin();
    fold_init(&fold, io);
    fold_begin(&fold, 0, 0);
    put_records(&fold, 9, 2, 1025);
    put_control(&fold, &token, 1025);
    paper_commit(&fold, 3);
    size_t count = 0;
    uint8_t *data = fold_encode(&fold, &log_id, &paper.epochs, &count);

    CHECK_INT(count, sizeof golden + 4);
    CHECK_BYTES(data, golden, sizeof golden);
    io_free(io, data);
    fold_forget(&fold);
    paper_end();
}
