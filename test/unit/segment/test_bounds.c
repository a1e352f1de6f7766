/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bounds of a segment: the last byte that Kafka's positions can say, and the points that replicas
 * compare (segment/append.c, segment/chain.c).
 */
#include "base/limits.h"
#include "lib/case.h"
#include "log_case.h"
#include "unit/io/seam.h"

static void begin(struct log_case *subject, int64_t segment_bytes)
{
    struct io *io = seam_create(&(struct seam_options){0});
    log_case_init(subject, io, strdup(seam_path(seam_folder(io), "topic-0")), segment_bytes);
    CHECK_INT(log_case_open(subject), PYR_OK);
}

static void end(struct log_case *subject)
{
    log_case_close(subject);
    free(bytes_unconst(subject->folder));
    io_destroy(subject->io);
}

/* A file of 2 GiB or more could not be told to Kafka's tools: the batch that would not fit below is
 * the next segment's, to the byte. The segment is taken to hold a hole up to there. */
TEST(segment_append, ends_a_segment_one_byte_below_two_gibibytes)
{
    for (int64_t spare = -1; spare <= 0; spare++) {
        struct log_case subject;
        static uint8_t memory[4096];
        begin(&subject, 3 * GIB);
        CHECK_INT(log_case_append(&subject, 1), PYR_OK);
        struct bytes batch = log_case_batch(&subject, (struct bytes_mut){memory, sizeof memory}, 3);
        struct segment_append *job = calloc(1, sizeof *job);
        CHECK(job);
        CHECK_INT(segment_append_plan(subject.log, job, &batch, 1, 0, &subject.error), PYR_OK);
        int64_t position = SEGMENT_BYTES_MAX - (int64_t)batch.count - spare;
        job->shape.end.position = (uint32_t)position;
        job->shape.bytes_allocated = position;

        segment_append_run(job);

        bool fits = spare == 0;
        const char *path = log_case_path(&subject, 0, SEGMENT_KIND_LOG);
        struct io_stat stat;
        CHECK_INT(job->err, PYR_OK);
        CHECK_INT(job->bytes_taken, fits ? batch.count : 0);
        CHECK(job->is_full == !fits);
        CHECK_INT(io_stat(subject.io, path, &stat), 0);
        CHECK(stat.bytes <= SEGMENT_BYTES_MAX);
        if (fits) {
            CHECK_INT(job->shape.end.position, SEGMENT_BYTES_MAX);
        }
        job->err = PYR_ERR_DISK_FULL; /* Nothing of it counts. */
        CHECK_INT(segment_append_apply(subject.log, job, &subject.error), PYR_ERR_DISK_FULL);
        free(job);
        end(&subject);
    }
}

/* Replicas compare digests at the first batch end at or past each multiple of the stride: a replica
 * that kept another point, or none, could not be compared. */
TEST(segment_points, stand_at_each_stride_of_offsets)
{
    enum { BATCHES = 280, RECORDS = 999 };
    struct log_case subject;
    begin(&subject, 1 << 26);
    subject.records_of_batch = RECORDS;
    for (uint32_t batch = 0; batch < BATCHES; batch += 20) {
        CHECK_INT(log_case_append(&subject, 20), PYR_OK);
    }
    CHECK_INT(log_case_sync(&subject), PYR_OK);

    size_t count = 0;
    uint8_t *data =
        log_case_load(subject.io, log_case_path(&subject, 0, SEGMENT_KIND_DIGEST), &count);
    CHECK(data);
    const struct segment_identity identity = {.log = subject.options.log, .offset_base = 0};
    int64_t multiple = SEGMENT_STRIDE_OFFSETS;
    uint32_t position = 0;
    struct segment_point point;
    uint32_t slot = 0;
    size_t at = (size_t)segment_point_position(0);
    while (at + SEGMENT_POINT_BYTES <= count &&
           segment_point_get(data + at, &identity, slot, &point)) {
        if (point.kind & SEGMENT_POINT_STRIDE) {
            int64_t batch_end = (multiple + RECORDS - 1) / RECORDS * RECORDS;
            CHECK_INT(point.offset, batch_end);
            multiple += SEGMENT_STRIDE_OFFSETS;
        }
        if (point.kind & SEGMENT_POINT_INDEX) {
            CHECK(slot == 0 || point.position >= position + SEGMENT_INDEX_INTERVAL_BYTES);
            position = point.position;
        }
        at = (size_t)segment_point_position(++slot);
    }
    CHECK(multiple > log_case_end(&subject)); /* None is missing. */
    CHECK_INT(multiple, 5 * SEGMENT_STRIDE_OFFSETS);
    free(data);
    end(&subject);
}
