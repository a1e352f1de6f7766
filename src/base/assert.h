/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/assert - assertions that stay on in every build.
 *
 * A failed assertion is a mistake in this program, never a property of its input: bad bytes and
 * failed calls are returned as errors. The process aborts at once, because a log that goes on with
 * a broken invariant is worse than one that stops. ASSERT_SLOW is for scans and sums and is on in
 * test builds only.
 */
#ifndef BASE_ASSERT_H
#define BASE_ASSERT_H

/**
 * Print the failed condition and abort.
 *
 * @condition text of the condition; @file and @line where it stands.
 */
_Noreturn void assert_fail(const char *condition, const char *file, int line);

#define ASSERT(condition) ((condition) ? (void)0 : assert_fail(#condition, __FILE__, __LINE__))

#ifdef PYR_ASSERT_SLOW
#define ASSERT_SLOW(condition) ASSERT(condition)
#else
#define ASSERT_SLOW(condition) ((void)sizeof(condition))
#endif

#define ASSERT_STATIC(condition, reason) _Static_assert(condition, reason)

#endif /* BASE_ASSERT_H */
