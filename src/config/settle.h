/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config/settle - what several keys must be together.
 *
 * After file, environment and command line: quorums that were left at 0 become the majority, and
 * keys that contradict each other are refused, at the place of the one that has to change.
 *
 * Invariants:
 *   CFG-6  Without problems 1 <= W <= N and 1 <= R <= N, and W + R > N unless unclean_election.
 *
 * Threads: one owner.   Memory: no allocation.
 */
#ifndef CONFIG_SETTLE_H
#define CONFIG_SETTLE_H

#include "config/keys.h"
#include "config/problems.h"

/** Settle the values of @target, which config_begin made. */
void config_settle(struct config_target *target, struct config_problems *problems);

#endif /* CONFIG_SETTLE_H */
