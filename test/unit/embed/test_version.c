/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_version - the library says what it is, and what its errors are called.
 */
#include "embed_case.h"

static void check_says(const char *details, const char *part)
{
    if (!strstr(details, part)) {
        fail_msg("'%s' does not say '%s'", details, part);
    }
}

/* A bug report begins with this line. */
TEST(version, names_what_is_inside)
{
    const char *details = pyr_version_details();

    CHECK_TEXT(pyr_version(), PYR_VERSION);
    CHECK_INT(strncmp(details, pyr_version(), strlen(pyr_version())), 0);
    const char *parts[] = {"commit ", "liburing ", "lz4 ",   "isal ", "xxhash ",
                           "zlib ",   "zstd",      "snappy", "posix", "uring"};
    for (size_t index = 0; index < sizeof parts / sizeof parts[0]; index++) {
        check_says(details, parts[index]);
    }
    CHECK(strstr(details, "gcc ") || strstr(details, "clang "));
    CHECK(strchr(details, '\n') == NULL);
}

/* Names are for logs and never NULL, not even for a number from the future. */
TEST(version, names_every_error)
{
    for (int code = 0; code < 40; code++) {
        CHECK(strlen(pyr_err_name((enum pyr_err)code)) > 0);
        CHECK(strlen(pyr_err_text((enum pyr_err)code)) > 0);
    }
    CHECK_TEXT(pyr_err_name(PYR_ERR_CORRUPT), "PYR_ERR_CORRUPT");
    CHECK_TEXT(pyr_err_name(PYR_OK), "PYR_OK");
}
