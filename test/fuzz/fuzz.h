/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz/fuzz - the one function of a fuzz target.
 *
 * A target is built twice: with libFuzzer (-Dfuzz=true, clang), and in every build with replay.c,
 * which runs the corpus and a number of seeded changes of it, so that the suite on any compiler
 * goes through the target too.
 */
#ifndef FUZZ_FUZZ_H
#define FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

/** Run the target on @data. Returns 0; aborts on what must not be. The name is libFuzzer's. */
/* NOLINTNEXTLINE(readability-identifier-naming): libFuzzer's name. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count);

#endif /* FUZZ_FUZZ_H */
