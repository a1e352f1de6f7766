/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/load_options - what follows from what was typed.
 */
#include "cli/load_options.h"
#include "lib/case.h"

static enum pyr_err settle(const char *const *words,
                           struct load_options *options,
                           struct pyr_error *reterr)
{
    struct args_found found;
    int count = 0;
    while (words[count]) {
        count++;
    }
    *options = (struct load_options){.folder = NULL};
    enum pyr_err err = args_parse(load_command(), count, words, options, &found, reterr);
    return err == PYR_OK ? load_options_settle(options, reterr) : err;
}

#define WORDS(...)        \
    (const char *const[]) \
    {                     \
        __VA_ARGS__, NULL \
    }

/* Each policy of the library can be measured. */
TEST(load_options, reads_every_policy)
{
    struct load_options options;

    CHECK_INT(settle(WORDS("--embedded=d"), &options, NULL), PYR_OK);
    CHECK_INT(load_log_options(&options).sync, PYR_SYNC_ALWAYS);
    CHECK_INT(settle(WORDS("--embedded=d", "--sync=batch:7ms"), &options, NULL), PYR_OK);
    CHECK_INT(load_log_options(&options).sync, PYR_SYNC_BATCH);
    CHECK_INT(load_log_options(&options).sync_interval_ms, 7);
    CHECK_INT(settle(WORDS("--embedded=d", "--sync=os"), &options, NULL), PYR_OK);
    CHECK_INT(load_log_options(&options).sync, PYR_SYNC_OS);
    CHECK(!load_log_options(&options).hand_over_at_once);
    CHECK_INT(settle(WORDS("--embedded=d", "--sync=os-now"), &options, NULL), PYR_OK);
    CHECK(load_log_options(&options).hand_over_at_once);
}

/* A load that starts with contradictory wishes measures something else than was asked. */
TEST(load_options, refuses_what_does_not_fit_together)
{
    struct load_options options;
    struct pyr_error error;

    CHECK_INT(settle(WORDS("--mode=read"), &options, &error), PYR_ERR_INVALID);
    CHECK_INT(settle(WORDS("--demo", "--embedded=d"), &options, &error), PYR_ERR_INVALID);
    CHECK_INT(settle(WORDS("--embedded=d", "--sync=batch:5"), &options, &error), PYR_ERR_INVALID);
    CHECK_INT(settle(WORDS("--embedded=d", "--sync=oss"), &options, &error), PYR_ERR_INVALID);
    CHECK_TEXT(error.message, "--sync: 'oss' is none of always, batch:TIME, os, os-now");
    CHECK_INT(settle(WORDS("--embedded=d", "--size=1MiB", "--batch=17"), &options, &error),
              PYR_ERR_INVALID);
    CHECK_INT(settle(WORDS("--embedded=d", "--mode=read", "--ack-file=f"), &options, &error),
              PYR_ERR_INVALID);
}
