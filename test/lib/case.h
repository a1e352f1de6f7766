/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/case - how a test is written: TEST, table cases and EXPECT_ABORT, on top of cmocka.
 *
 * The only header of the test framework that a test program includes. cmocka's headers must come in
 * their own order, which is why they are here. TEST(subject, behaviour) defines a test and
 * registers it in its runner; one runner program per folder links all test files of that folder
 * with lib/case.c.
 *
 *   TEST(codec, puts_big_endian_numbers_most_significant_byte_first)
 *   {
 *       ...arrange, act, check...
 *   }
 *
 * Assertions run on the main thread of the test.
 */
#ifndef LIB_CASE_H
#define LIB_CASE_H

/* cmocka's headers need this order. */
/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* One registered test. */
struct case_entry {
    const char *name;
    void (*run)(void **state);
    struct case_entry *next;
};

/** Register @entry with this program's runner. Called before main by TEST. */
void case_register(struct case_entry *entry);

/** Run @body with @ctx in a forked child and return whether it ended by abort(); the child's stderr
 * is dropped. */
bool case_aborts(void (*body)(void *ctx), void *ctx);

/** Return a fresh folder for this test, removed when the test ends. It lies below $TMPDIR, and the
 * runner owns the string. */
const char *case_folder(void);

/** Return @count times the percentage in $PYRALOG_TEST_PERCENT (100 if unset), at least 1: how many
 * seeds, images or flips a test that could go on for ever tries in this build and length of run. */
uint64_t case_scale(uint64_t count);

/** Return which step of a loop over many that are alike to take next: 1, or ten where
 * $PYRALOG_TEST_PERCENT is ten, and so on. */
uint64_t case_step(void);

/** Leave this test and count it as skipped, with the reason printed. */
_Noreturn void case_skip(const char *reason);

#define TEST(subject, behaviour)                                                                 \
    static void subject##_##behaviour(void **state);                                             \
    __attribute__((constructor)) static void subject##_##behaviour##_register(void)              \
    {                                                                                            \
        static struct case_entry entry = {#subject "_" #behaviour, subject##_##behaviour, NULL}; \
        case_register(&entry);                                                                   \
    }                                                                                            \
    static void subject##_##behaviour(void **state __attribute__((unused)))

#define EXPECT_ABORT(body, ctx) assert_true(case_aborts(body, ctx))

/* What the checks of a test are called; the names say what is compared. */
#define CHECK(condition)                     assert_true(condition)
#define CHECK_INT(actual, expected)          assert_int_equal(actual, expected)
#define CHECK_TEXT(actual, expected)         assert_string_equal(actual, expected)
#define CHECK_BYTES(actual, expected, count) assert_memory_equal(actual, expected, count)

#endif /* LIB_CASE_H */
