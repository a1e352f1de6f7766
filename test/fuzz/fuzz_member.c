/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fuzz/fuzz_member - whatever letters and beats reach a member of a replicated log.
 *
 * The input is a row of operations of twelve bytes. One member of three stands on a simulated disk;
 * an operation lets it turn, or is a letter, a beat or an answer to one, whose every field is
 * picked by a byte: what would fit now, something near it, or a wild number. Batches are whole, and
 * mostly what the message says of them; each letter is one that a broken peer, or one that is not
 * who it says, could send.
 *
 *      kind | from | epoch | promise | place | place's epoch | batches | records | commit | ...
 *
 * What must hold: no assertion trips, nothing reads outside its memory, and the commit point does
 * not move back. A member that fails with a reason is well.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "fuzz/fuzz.h"
#include "partition/member.h"
#include "partition/shard_inner.h"
#include "quorum/epoch.h"
#include "record/builder.h"
#include "sim/sim_io.h"

enum {
    OPERATION_BYTES = 12,
    OPERATIONS_MAX = 48,
    MEMBERS = 3,
    BATCHES_BYTES_MAX = 2 << 10,
    CACHE_BYTES = 256 << 10,
    TIMEOUT_NS = 5000000,
    BUFFER_NS = 2000000,
};

static const struct log_id fuzz_log = {{7, 7}};

/* One run. */
struct world {
    struct sim_disk *disk;
    struct sim *sim;
    struct io *io;
    struct io_loop *loop;
    struct folder folder;
    struct shard *shard;
    struct partition *log;
    struct quorum_config config;
    struct member *member;
    struct member_read read;
    bool is_reading;
    int64_t committed; /* The furthest that was seen. */
};

static void send_nowhere(void *ctx,
                         const struct quorum_member *to,
                         const struct member_letter *letter)
{
    (void)ctx;
    ASSERT(to);
    ASSERT(letter->message.kind < REPLICA_MESSAGE_KINDS);
}

static void world_open(struct world *world)
{
    struct shard_report report;
    const struct folder_options folder = {.path = "/data"};
    struct shard_options options = {.folder = &world->folder,
                                    .cache_bytes_max = CACHE_BYTES,
                                    .buffer_time_ns = BUFFER_NS,
                                    .wal_file_bytes = 64 << 10,
                                    .wal_files_max = 4};
    const struct partition_options log = {.policy = PARTITION_POLICY_ALWAYS,
                                          .is_cached = true,
                                          .is_replicated = true,
                                          .id = fuzz_log,
                                          .segment_bytes = 16 << 10};
    world->disk = sim_disk_create();
    world->sim = sim_create(&(struct sim_options){.disk = world->disk, .seed = 1});
    world->io = sim_io(world->sim);
    ASSERT(io_loop_create(world->io, &(struct io_loop_options){.ops_max = 64}, &world->loop) == 0);
    ASSERT(folder_open(world->loop, &folder, &world->folder, NULL) == PYR_OK);
    ASSERT(shard_open(world->loop, &options, &world->shard, &report, NULL) == PYR_OK);
    ASSERT(folder_set_ready(&world->folder, NULL) == PYR_OK);
    ASSERT(shard_partition_open(world->shard, "replica-0", &log, &world->log, NULL) == PYR_OK);
    world->config = (struct quorum_config){
        .rules = {.voter_count = MEMBERS, .write_quorum = 2, .read_quorum = 2}};
    for (int number = 0; number < MEMBERS; number++) {
        world->config.voters[number] =
            (struct quorum_member){.node = {number + 1}, .storage = {{(uint8_t)(number + 1)}}};
    }
    const struct member_options member = {.config = &world->config,
                                          .self = world->config.voters[0],
                                          .incarnation = 1,
                                          .run = 1,
                                          .timeout_ns = TIMEOUT_NS,
                                          .seed = 1,
                                          .send = send_nowhere};
    ASSERT(member_open(world->log, &member, &world->member, NULL) == PYR_OK);
}

static void world_turn(struct world *world)
{
    shard_kick(world->shard);
    io_loop_wait(world->loop, io_now_mono_ns(world->io) + 1000000);
    (void)io_loop_dispatch(world->loop);
    shard_step(world->shard);
    member_step(world->member);
    ASSERT(world->log->offset_committed >= world->committed);
    world->committed = world->log->offset_committed;
}

static void world_close(struct world *world)
{
    for (int turn = 0; turn < 20; turn++) { /* Flushes and checkpoints see what came in. */
        world_turn(world);
    }
    if (world->is_reading) {
        member_read_end(world->member, &world->read);
    }
    member_stop(world->member);
    while (!member_is_quiet(world->member)) {
        world_turn(world);
    }
    member_close(world->member);
    shard_close(world->shard);
    folder_close(&world->folder);
    io_loop_destroy(world->loop);
    sim_destroy(world->sim);
    sim_disk_destroy(world->disk);
}

/* -- What a byte stands for -- */

static struct quorum_member pick_member(const struct world *world, uint8_t byte)
{
    if (byte % 8 < 6) {
        return world->config.voters[byte % 8 % MEMBERS];
    }
    int32_t node = byte < 128 ? byte % 64 - 6 : -byte; /* None, too many, or a stranger. */
    return (struct quorum_member){.node = {node}, .storage = {{(uint8_t)(byte / 32)}}};
}

static int32_t pick_epoch(const struct world *world, uint8_t byte, struct node_id node)
{
    int32_t promise = world->log->epoch;
    int32_t next = 0;
    switch (byte % 8) {
    case 0:
    case 1:
        return promise;
    case 2:
        return world->log->epoch_last > 0 ? world->log->epoch_last : EPOCH_NONE;
    case 3: /* Of the member's own candidacy, that is. */
        node = world->config.voters[0].node;
        return epoch_next(promise, node, &next) == PYR_OK ? next : 0;
    case 4:
        return epoch_node_is_valid(node) && epoch_next(promise, node, &next) == PYR_OK ? next : 0;
    case 5:
        return promise + byte / 8 - 16;
    case 6:
        return byte / 8 - 4;
    default:
        return byte < 128 ? INT32_MAX - byte : INT32_MIN + byte;
    }
}

static int64_t pick_offset(const struct world *world, uint8_t byte)
{
    const struct partition *log = world->log;
    switch (byte % 8) {
    case 0:
    case 1:
    case 2:
        return log->offset_end;
    case 3:
        return log->offset_committed;
    case 4:
        return log->offset_durable;
    case 5:
        return log->offset_end + byte / 8 - 16;
    case 6:
        return byte / 8;
    default:
        return byte < 128 ? INT64_MAX - byte : INT64_MIN + byte;
    }
}

/* Put batches of @epoch from @offset on into @data, as many as @byte says; return where they end.
 */
static int64_t batches_build(uint8_t *data,
                             size_t *ret_bytes,
                             int64_t offset,
                             int32_t epoch,
                             uint8_t byte)
{
    *ret_bytes = 0;
    data[0] = byte;
    bool is_far = offset < 0 || offset > INT64_MAX / 2;
    for (int batch = 0; !is_far && batch < byte % 4; batch++) {
        struct builder builder;
        struct bytes_mut room = {data + *ret_bytes, BATCHES_BYTES_MAX / 4};
        builder_init(&builder, room);
        for (int number = 0; number <= (byte >> (2 + 2 * batch)) % 4; number++) {
            const struct record record = {.timestamp = 1, .value = {data, 10}};
            ASSERT(builder_add(&builder, &record, NULL) == PYR_OK);
            offset++;
        }
        int64_t first = offset - (byte >> (2 + 2 * batch)) % 4 - 1;
        size_t bytes = builder_seal(&builder, &BATCH_STAMP_NONE).count;
        batch_set_offset_and_epoch((struct bytes_mut){room.data, bytes}, first,
                                   epoch < -1 ? -1 : epoch);
        *ret_bytes += bytes;
    }
    return offset;
}

/* -- Operations -- */

static void letter_give(struct world *world, const uint8_t *bytes)
{
    uint8_t data[BATCHES_BYTES_MAX] = {0};
    struct member_letter letter = {
        .envelope = {.log = fuzz_log, .incarnation = 1, .run = bytes[1]}};
    struct replica_message *message = &letter.message;
    letter.envelope.from = pick_member(world, bytes[1]);
    struct node_id node = letter.envelope.from.node;
    message->kind = (enum replica_message_kind)(bytes[0] / 8 % (REPLICA_MESSAGE_KINDS + 1));
    message->epoch = pick_epoch(world, bytes[2], node);
    message->promise = pick_epoch(world, bytes[3], node);
    message->config_end = pick_offset(world, bytes[11]);
    int64_t place = pick_offset(world, bytes[4]);
    int32_t place_epoch = pick_epoch(world, bytes[5], node);
    if (message->kind == REPLICA_APPEND) {
        struct replica_batches *batches = &message->as.batches;
        size_t count = 0;
        batches->before = (struct quorum_position){place_epoch, place};
        batches->epoch = pick_epoch(world, bytes[6], node);
        batches->offset_end = batches_build(data, &count, place, batches->epoch, bytes[7]);
        batches->committed = pick_offset(world, bytes[8]);
        batches->offset_end += bytes[9] == 255 ? bytes[10] : 0;
        letter.batches = (struct bytes){data, count};
    } else if (message->kind == REPLICA_APPEND_ANSWER) {
        message->as.answer =
            (struct replica_answer){.outcome = bytes[6] % 5,
                                    .place = place,
                                    .durable = pick_offset(world, bytes[7]),
                                    .fork = {place_epoch, pick_offset(world, bytes[8])}};
    } else if (message->kind == REPLICA_PREVOTE || message->kind == REPLICA_VOTE) {
        message->as.candidacy =
            (struct replica_candidacy){.log = {place_epoch, place},
                                       .handed_over = pick_epoch(world, bytes[6], node)};
    } else if (message->kind == REPLICA_TAIL || message->kind == REPLICA_TAIL_ANSWER) {
        uint64_t number = bytes[6] % 4 == 0 ? bytes[6] : world->read.inner.number;
        message->as.tail = (struct replica_tail){1, number, {place_epoch, place}};
    } else {
        message->as.ballot.is_granted = bytes[6] % 4 != 0;
    }
    enum pyr_err err = member_receive(world->member, &letter, NULL);
    (void)err;
}

static void append_give(struct world *world, const uint8_t *bytes)
{
    struct bytes_mut room;
    struct member_proposal proposal;
    if (member_reserve(world->member, 256, &room, NULL) != PYR_OK) {
        return;
    }
    size_t count = 0;
    uint8_t data[BATCHES_BYTES_MAX] = {0};
    (void)batches_build(data, &count, 0, 0, (uint8_t)(bytes[1] / 4 * 4 + 1));
    memcpy(room.data, data, count);
    enum pyr_err err = member_append(world->member, count, 0, &proposal, NULL);
    ASSERT(err != PYR_OK || member_fate(world->member, &proposal) <= MEMBER_FATE_LOST);
    member_unreserve(world->member);
}

/* Begin a quorum read, or see how far it is. */
static void read_go(struct world *world)
{
    ASSERT(world->member);

    if (!world->is_reading) {
        world->is_reading = member_read_begin(world->member, &world->read, NULL) == PYR_OK;
    } else if (member_read_step(world->member, &world->read) == READS_DONE) {
        member_read_end(world->member, &world->read);
        world->is_reading = false;
    }
}

static void operation_do(struct world *world, const uint8_t *bytes)
{
    struct quorum_member from = pick_member(world, bytes[1]);
    int32_t epoch = pick_epoch(world, bytes[2], from.node);
    switch (bytes[0] % 8) {
    case 0:
        for (int turn = 0; turn <= bytes[1] % 16; turn++) {
            world_turn(world);
        }
        return;
    case 1:
        (void)member_heard(world->member, &from, epoch, pick_offset(world, bytes[3]));
        return;
    case 2:
        member_confirmed(world->member, &from, epoch, io_now_mono_ns(world->io) - bytes[3]);
        return;
    case 3:
        append_give(world, bytes);
        return;
    case 4:
        if (bytes[1] % 4 == 0) {
            member_hand_over(world->member, &from);
        } else if (bytes[1] % 4 == 1) {
            shard_checkpoint_request(world->shard);
        } else {
            read_go(world);
        }
        return;
    default:
        letter_give(world, bytes);
        return;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t count)
{
    struct world world = {0};
    world_open(&world);
    for (int number = 0; number < OPERATIONS_MAX && count >= OPERATION_BYTES; number++) {
        operation_do(&world, data);
        data += OPERATION_BYTES;
        count -= OPERATION_BYTES;
    }
    world_close(&world);
    return 0;
}
