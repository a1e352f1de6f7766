/* SPDX-License-Identifier: Apache-2.0 */
/*
 * embed/version - what this library is made of, and what its errors are called.
 */
#include "pyralog.h"

#include "base/err.h"

const char *pyr_version(void)
{
    return PYR_VERSION;
}

const char *pyr_err_name(enum pyr_err err)
{
    return err_name(err);
}

const char *pyr_err_text(enum pyr_err err)
{
    return err_text(err);
}
