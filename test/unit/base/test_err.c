/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The error table and the building of messages; and that an assertion aborts (base/assert.c).
 */
#include <errno.h>

#include "base/assert.h"
#include "base/err.h"
#include "lib/case.h"

static void break_an_assertion(void *ctx)
{
    int *number = ctx;
    ASSERT(*number == 1);
}

/* A release build must abort on a broken invariant just as a test build does. */
TEST(assert, aborts_in_every_build)
{
    int number = 2;

    EXPECT_ABORT(break_an_assertion, &number);
}

/* A level above adds what it was doing, in front. */
TEST(err_wrap, puts_the_outer_text_first)
{
    struct pyr_error error;

    enum pyr_err err = err_set(&error, PYR_ERR_CORRUPT, "bad magic %d", 7);
    err_wrap(&error, "open segment '%s'", "p3/0.log");

    CHECK_INT(err, PYR_ERR_CORRUPT);
    CHECK_TEXT(error.message, "open segment 'p3/0.log': bad magic 7");
}

/* A level that knows better what an error means changes its code and keeps its text. */
TEST(err_recode, keeps_the_text)
{
    struct pyr_error error;

    (void)err_set_errno(&error, ENOSPC, "sync");
    CHECK_INT(err_recode(&error, PYR_ERR_IO), PYR_ERR_IO);

    CHECK_INT(error.code, PYR_ERR_IO);
    CHECK_TEXT(error.message, "sync: No space left on device");
    CHECK_INT(err_recode(NULL, PYR_ERR_IO), PYR_ERR_IO);
}

/* EDQUOT and a file-size limit are a full disk to the user: appends resume when there is room. */
TEST(err_from_errno, treats_every_kind_of_full_disk_alike)
{
    CHECK_INT(err_from_errno(ENOSPC), PYR_ERR_DISK_FULL);
    CHECK_INT(err_from_errno(EDQUOT), PYR_ERR_DISK_FULL);
    CHECK_INT(err_from_errno(EFBIG), PYR_ERR_DISK_FULL);
    CHECK(err_can_retry(PYR_ERR_DISK_FULL));
}
