/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The partitioner against the vectors of Kafka's own tests.
 */
#include "lib/case.h"
#include "record/partitioner.h"

/* REC-8: UtilsTest.testMurmur2 of Kafka's clients. */
TEST(partitioner_murmur2, gives_kafkas_known_answers)
{
    static const struct {
        const char *key;
        int32_t expected;
    } cases[] = {
        {"21", -973932308},
        {"foobar", -790332482},
        {"a-little-bit-long-string", -985981536},
        {"a-little-bit-longer-string", -1486304829},
        {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
        {"abc", 479470107},
        {"", 275646681},
    };

    for (size_t index = 0; index < sizeof cases / sizeof cases[0]; index++) {
        CHECK_INT((int32_t)partitioner_murmur2(bytes_of_text(cases[index].key)),
                  cases[index].expected);
    }
}

/* A hash with the sign bit set still gives a partition. */
TEST(partitioner_partition, is_the_positive_hash_modulo_the_count)
{
    struct bytes key = bytes_of_text("21");

    CHECK_INT(partitioner_partition(key, 1), 0);
    CHECK_INT(partitioner_partition(key, 1000), (-973932308 & INT32_MAX) % 1000);
    CHECK_INT(partitioner_partition(key, INT32_MAX), -973932308 & INT32_MAX);
}
