/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quorum/config - what a configuration must be before anything is counted with it.
 */
#include "quorum/config.h"

#include <inttypes.h>

#include "base/assert.h"
#include "quorum/epoch.h"

/* Check one member by itself; @role is what it is called. */
static enum pyr_err check_member(const struct quorum_member *member,
                                 const char *role,
                                 struct pyr_error *reterr)
{
    ASSERT(member);
    ASSERT(role);

    if (!epoch_node_is_valid(member->node)) {
        return err_set(reterr, PYR_ERR_INVALID, "%s %" PRId32 ": a node id is from 1 to %d", role,
                       member->node.value, EPOCH_NODES - 1);
    }
    if (!storage_id_is_set(&member->storage)) {
        return err_set(reterr, PYR_ERR_INVALID, "%s %" PRId32 " has no storage identity", role,
                       member->node.value);
    }
    return PYR_OK;
}

/* Check that @member is none of the @count members at @others: not by its storage, nor, if
 * @by_node, by its node. */
static enum pyr_err check_single(const struct quorum_member *member,
                                 const struct quorum_member *others,
                                 int32_t count,
                                 bool by_node,
                                 struct pyr_error *reterr)
{
    ASSERT(member);
    ASSERT(others);
    ASSERT(count >= 0);
    ASSERT(count <= QUORUM_VOTERS_MAX);

    for (int32_t index = 0; index < count; index++) {
        if (by_node && node_id_equal(member->node, others[index].node)) {
            return err_set(reterr, PYR_ERR_INVALID, "node %" PRId32 " stands there twice",
                           member->node.value);
        }
        if (storage_id_equal(&member->storage, &others[index].storage)) {
            return err_set(reterr, PYR_ERR_INVALID,
                           "nodes %" PRId32 " and %" PRId32 " have the same storage identity",
                           others[index].node.value, member->node.value);
        }
    }
    return PYR_OK;
}

/* Check the voters by themselves and against each other. */
static enum pyr_err check_voters(const struct quorum_config *config, struct pyr_error *reterr)
{
    ASSERT(config->rules.voter_count >= 1);
    ASSERT(config->rules.voter_count <= QUORUM_VOTERS_MAX);

    for (int32_t index = 0; index < config->rules.voter_count; index++) {
        const struct quorum_member *voter = &config->voters[index];
        enum pyr_err err = check_member(voter, "voter", reterr);
        if (err != PYR_OK) {
            return err;
        }
        err = check_single(voter, config->voters, index, true, reterr);
        if (err != PYR_OK) {
            err_wrap(reterr, "voters");
            return err;
        }
    }
    return PYR_OK;
}

/* Check the learners by themselves, against each other and against the voters. */
static enum pyr_err check_learners(const struct quorum_config *config, struct pyr_error *reterr)
{
    ASSERT(config->learner_count >= 0);
    ASSERT(config->learner_count <= QUORUM_LEARNERS_MAX);

    for (int32_t index = 0; index < config->learner_count; index++) {
        const struct quorum_member *learner = &config->learners[index];
        enum pyr_err err = check_member(learner, "learner", reterr);
        if (err != PYR_OK) {
            return err;
        }
        err = check_single(learner, config->learners, index, true, reterr);
        if (err == PYR_OK) {
            err = check_single(learner, config->voters, config->rules.voter_count, false, reterr);
        }
        if (err != PYR_OK) {
            err_wrap(reterr, "learners");
            return err;
        }
    }
    return PYR_OK;
}

enum pyr_err quorum_config_check(const struct quorum_config *config, struct pyr_error *reterr)
{
    ASSERT(config);

    enum pyr_err err = quorum_rules_check(&config->rules, reterr);
    if (err != PYR_OK) {
        return err;
    }
    if (config->learner_count < 0 || config->learner_count > QUORUM_LEARNERS_MAX) {
        return err_set(reterr, PYR_ERR_INVALID, "%" PRId32 " learners: from 0 to %d are possible",
                       config->learner_count, QUORUM_LEARNERS_MAX);
    }
    err = check_voters(config, reterr);
    if (err != PYR_OK) {
        return err;
    }
    return check_learners(config, reterr);
}
