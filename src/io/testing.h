/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io/testing - hooks for tests on one environment: the n-th allocation fails.
 *
 * A test runs its workload once, reads how many allocations there were, then runs it again for each
 * n with the n-th one failing, and checks that nothing broke and nothing leaked. The hook belongs
 * to one environment, so that tests in one process do not disturb each other.
 */
#ifndef IO_TESTING_H
#define IO_TESTING_H

#include "io/io.h"

/** Let the @nth allocation from now on fail, once (1 is the next one; 0 takes the order back). */
void io_testing_fail_allocation(struct io *io, uint64_t nth);

/** Return how many allocations @io was asked for so far. */
uint64_t io_testing_allocations(struct io *io);

/** Return how many allocations of @io are not freed yet. */
uint64_t io_testing_allocations_live(struct io *io);

#endif /* IO_TESTING_H */
