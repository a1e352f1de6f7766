/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quorum/rules - the sums, and what they must come to.
 */
#include "quorum/rules.h"

#include <inttypes.h>

#include "base/assert.h"
#include "base/limits.h"
#include "base/mutant.h"

static int32_t min_of(int32_t left, int32_t right)
{
    return left < right ? left : right;
}

static int32_t max_of(int32_t left, int32_t right)
{
    return left > right ? left : right;
}

/* Whoever counts with rules has checked them: they are never taken from a message or a file as they
 * are. */
static void assert_valid(const struct quorum_rules *rules)
{
    ASSERT(rules);
    ASSERT(rules->voter_count >= 1);
    ASSERT(rules->voter_count <= QUORUM_VOTERS_MAX);
    ASSERT(rules->write_quorum >= 1);
    ASSERT(rules->write_quorum <= rules->voter_count);
    ASSERT(rules->read_quorum >= 1);
    ASSERT(rules->read_quorum <= rules->voter_count);
}

/* Check that a quorum called @name has from 1 to @voter_count voters. */
static enum pyr_err check_quorum(const char *name,
                                 int32_t quorum,
                                 int32_t voter_count,
                                 struct pyr_error *reterr)
{
    ASSERT(name);
    ASSERT(voter_count >= 1);

    if (quorum < 1) {
        return err_set(reterr, PYR_ERR_INVALID, "%s %" PRId32 " is below 1", name, quorum);
    }
    if (quorum > voter_count) {
        return err_set(reterr, PYR_ERR_INVALID,
                       "%s %" PRId32 " is above the number of voters, %" PRId32, name, quorum,
                       voter_count);
    }
    return PYR_OK;
}

enum pyr_err quorum_rules_check(const struct quorum_rules *rules, struct pyr_error *reterr)
{
    ASSERT(rules);

    int32_t voters = rules->voter_count;
    if (voters < 1) {
        return err_set(reterr, PYR_ERR_INVALID, "%" PRId32 " voters: at least 1 is needed", voters);
    }
    if (voters > QUORUM_VOTERS_MAX) {
        return err_set(reterr, PYR_ERR_INVALID, "%" PRId32 " voters: at most %d are possible",
                       voters, QUORUM_VOTERS_MAX);
    }
    enum pyr_err err = check_quorum("write_quorum", rules->write_quorum, voters, reterr);
    if (err != PYR_OK) {
        return err;
    }
    err = check_quorum("read_quorum", rules->read_quorum, voters, reterr);
    if (err != PYR_OK) {
        return err;
    }
    if (rules->write_quorum + rules->read_quorum <= voters && !rules->unclean_election) {
        return err_set(reterr, PYR_ERR_INVALID,
                       "write_quorum %" PRId32 " and read_quorum %" PRId32
                       " together are not above the %" PRId32 " voters: raise one of them, or set "
                       "unclean_election, and a failover may lose acknowledged records",
                       rules->write_quorum, rules->read_quorum, voters);
    }
    assert_valid(rules);
    return PYR_OK;
}

int32_t quorum_majority(const struct quorum_rules *rules)
{
    assert_valid(rules);

    int32_t majority = rules->voter_count / 2 + 1;
    ASSERT(majority <= rules->voter_count);
    return majority;
}

bool quorum_is_unclean(const struct quorum_rules *rules)
{
    assert_valid(rules);
    bool is_unclean = rules->unclean_election && !quorum_reads_allowed(rules);
    if (is_unclean) {
        ASSERT(rules->write_quorum < rules->voter_count); /* With W = N every R reads all. */
    }
    return is_unclean;
}

int32_t quorum_election(const struct quorum_rules *rules)
{
    assert_valid(rules);

    int32_t clean = rules->voter_count - rules->write_quorum + 1;
    if (MUTANT(election_quorum_one_short)) {
        return max_of(1, clean - 1);
    }
    int32_t election = quorum_is_unclean(rules) ? min_of(clean, quorum_majority(rules)) : clean;
    ASSERT(election >= 1);
    ASSERT(election <= rules->voter_count);
    if (!quorum_is_unclean(rules)) {
        ASSERT(rules->write_quorum + election > rules->voter_count); /* QUO-3 */
    }
    return election;
}

bool quorum_may_lose(const struct quorum_rules *rules)
{
    assert_valid(rules);

    bool may_lose = rules->write_quorum + quorum_election(rules) <= rules->voter_count;
    if (may_lose && !MUTANT(election_quorum_one_short)) {
        ASSERT(rules->unclean_election); /* QUO-3 */
    }
    return may_lose;
}

bool quorum_reads_allowed(const struct quorum_rules *rules)
{
    assert_valid(rules);
    return rules->write_quorum + rules->read_quorum > rules->voter_count; /* QUO-4 */
}

int32_t quorum_prevote(const struct quorum_rules *rules)
{
    assert_valid(rules);

    int32_t prevote = max_of(quorum_election(rules), rules->write_quorum);
    ASSERT(prevote <= rules->voter_count);
    return prevote;
}

int32_t quorum_lease(const struct quorum_rules *rules)
{
    assert_valid(rules);

    int32_t lease = rules->voter_count - quorum_election(rules) + 1;
    ASSERT(lease >= 1);
    ASSERT(lease + quorum_election(rules) > rules->voter_count); /* QUO-5 */
    return lease;
}

int32_t quorum_reach(const struct quorum_rules *rules)
{
    assert_valid(rules);

    /* E is at most N - W + 1, so N - E + 1 is at least W: it is max(W, N - E + 1) by itself. */
    int32_t reach = quorum_lease(rules);
    ASSERT(reach >= rules->write_quorum);
    if (rules->write_quorum == 1 && quorum_is_unclean(rules)) {
        reach = max_of(reach, quorum_majority(rules));
    }
    ASSERT(reach <= rules->voter_count);
    ASSERT(reach + quorum_election(rules) > rules->voter_count); /* QUO-5 */
    return reach;
}

bool quorum_can_spare_one(const struct quorum_rules *rules)
{
    assert_valid(rules);
    return rules->voter_count - 1 >= quorum_prevote(rules);
}
