/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz/canary_fuzz - a target with a bug, to show that the fuzzer finds one.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count)
{
    if (count > 3 && data[0] == 'p' && data[1] == 'y' && data[2] == 'r') {
        (void)fprintf(stderr, "the canary is found\n");
        abort();
    }
    return 0;
}
