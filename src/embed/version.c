/* SPDX-License-Identifier: Apache-2.0 */
/*
 * embed/version - what this library is made of, and what its errors are called.
 *
 * The text is put together when the library is built: commit.sh asks git for the commit, meson
 * knows compiler and libraries. A tree without git is built all the same; its commit is "unknown".
 */
#include "pyralog.h"

#include "base/err.h"
#include "embed/commit.h"

const char *pyr_version(void)
{
    return PYR_VERSION;
}

const char *pyr_version_details(void)
{
    return PYR_VERSION " (commit " EMBED_COMMIT ", " EMBED_COMPILER "), with " EMBED_LIBRARIES
                       ", backends uring and posix";
}

const char *pyr_err_name(enum pyr_err err)
{
    return err_name(err);
}

const char *pyr_err_text(enum pyr_err err)
{
    return err_text(err);
}
