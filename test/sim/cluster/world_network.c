/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cluster/world_network - letters on their way: a heap of arrivals, and links that misbehave.
 *
 * A link keeps the order of its letters, as a connection does, but for those that are drawn to be
 * late. Who is down or recovers hears nothing; to who is paused they come when it goes on. A letter
 * is copied once, however often it arrives.
 */
#include <stdlib.h>
#include <string.h>

#include "sim/cluster/world_parts.h"

enum { ROOM_FIRST = 1024, STORM_LOSS = 333, SLOW_PARTS = 4 };

/* -- The heap -- */

static bool is_before(const struct world_arrival *left, const struct world_arrival *right)
{
    return left->time_ns != right->time_ns ? left->time_ns < right->time_ns
                                           : left->order < right->order;
}

static void arrival_push(struct world *world, struct world_arrival arrival)
{
    struct world_network *network = &world->network;
    struct world_arrival *heap = network->arrivals;
    ASSERT(network->arrival_count < LETTERS_MAX);
    uint32_t place = network->arrival_count++;
    while (place > 0 && is_before(&arrival, &heap[(place - 1) / 2])) {
        heap[place] = heap[(place - 1) / 2];
        place = (place - 1) / 2;
    }
    heap[place] = arrival;
    world->next_ns[ACTOR_NETWORK] = heap[0].time_ns;
}

static struct world_arrival arrival_pop(struct world *world)
{
    struct world_network *network = &world->network;
    struct world_arrival *heap = network->arrivals;
    ASSERT(network->arrival_count > 0);
    struct world_arrival first = heap[0];
    struct world_arrival last = heap[--network->arrival_count];
    uint32_t place = 0;
    for (uint32_t child = 1; child < network->arrival_count; child = 2 * place + 1) {
        if (child + 1 < network->arrival_count && is_before(&heap[child + 1], &heap[child])) {
            child++;
        }
        if (!is_before(&heap[child], &last)) {
            break;
        }
        heap[place] = heap[child];
        place = child;
    }
    if (network->arrival_count > 0) {
        heap[place] = last;
    }
    world->next_ns[ACTOR_NETWORK] = network->arrival_count > 0 ? heap[0].time_ns : NEVER;
    return first;
}

/* -- Letters -- */

/* Return a slot with a copy of @letter, or NULL if too many are under way. */
static struct world_letter *letter_copy(struct world_network *network,
                                        const struct world_letter *letter)
{
    if (network->letter_count == LETTERS_MAX) {
        return NULL;
    }
    struct world_letter *copy = &network->letters[network->free_first];
    struct world_letter kept = *copy;
    network->free_first = kept.next_free;
    network->letter_count++;
    *copy = *letter;
    copy->data = kept.data;
    copy->room = kept.room;
    copy->users = 0;
    copy->is_gone = false;
    copy->is_spoiled = false;
    struct bytes batches = letter->inner.batches;
    if (letter->kind == LETTER_MESSAGE && batches.count > 0) {
        if (copy->room < batches.count) {
            copy->room = batches.count < ROOM_FIRST ? ROOM_FIRST : batches.count;
            copy->data = realloc(copy->data, copy->room);
            ASSERT(copy->data);
        }
        memcpy(copy->data, batches.data, batches.count);
        copy->inner.batches = (struct bytes){copy->data, batches.count};
    }
    return copy;
}

static void letter_release(struct world_network *network, struct world_letter *letter)
{
    ASSERT(letter->users > 0);
    letter->users--;
    if (letter->users == 0) {
        letter->next_free = network->free_first;
        network->free_first = (uint32_t)(letter - network->letters);
        network->letter_count--;
    }
}

/* Flip a bit of the batches of @letter. */
static void letter_spoil(struct world *world, struct world_letter *letter)
{
    struct prng *prng = &world->network.prng;
    size_t count = letter->inner.batches.count;
    if (letter->kind == LETTER_MESSAGE && count > 0) {
        letter->data[prng_below(prng, count)] ^= (uint8_t)(1U << prng_below(prng, 8));
        letter->is_spoiled = true;
        world_count(world, WORLD_COUNT_letters_spoiled);
    }
}

static void post(struct world *world, struct world_letter *letter, uint64_t time_ns)
{
    struct world_network *network = &world->network;
    letter->users++;
    arrival_push(world, (struct world_arrival){.time_ns = time_ns,
                                               .order = network->order++,
                                               .letter = (uint32_t)(letter - network->letters)});
}

/* Return when a letter sent now on the link arrives, and keep the link's order unless it is late.
 */
static uint64_t arrival_ns(struct world *world, int32_t from, int32_t to)
{
    const struct world_options *options = world->options;
    struct world_network *network = &world->network;
    uint64_t range_ns = options->link_ns_max - options->link_ns_min;
    uint64_t time_ns =
        world->now_ns + options->link_ns_min + prng_below(&network->prng, range_ns + 1);
    if (network->slow[from] + network->slow[to] > 0) {
        time_ns += options->timeout_ns / SLOW_PARTS +
                   prng_below(&network->prng, options->timeout_ns / SLOW_PARTS);
    }
    if (prng_below(&network->prng, THOUSAND) < options->delay && world->phase == PHASE_TROUBLE) {
        world_count(world, WORLD_COUNT_letters_late);
        return time_ns + prng_below(&network->prng, options->timeout_ns / 2);
    }
    uint64_t *last_ns = &network->last_ns[from][to];
    *last_ns = time_ns > *last_ns ? time_ns : *last_ns + 1;
    return *last_ns;
}

/* Return whether @letter asks its receiver to succeed, in one of those epochs, every second, in
 * which all these letters come when the sender has given it up. */
static bool is_late_hand_over(const struct world_letter *letter)
{
    const struct replica_message *message = &letter->inner.message;
    return letter->kind == LETTER_MESSAGE && message->kind == REPLICA_HAND_OVER &&
           (epoch_round(message->epoch) + letter->from + letter->to) % 2 == 0;
}

/* Return whether @letter is the first with what its sender wrote in its own epoch. */
static bool is_opening(const struct world_letter *letter)
{
    const struct replica_message *message = &letter->inner.message;
    return letter->kind == LETTER_MESSAGE && message->kind == REPLICA_APPEND &&
           message->as.batches.epoch == message->epoch &&
           message->as.batches.before.epoch != message->epoch;
}

void network_send(struct world *world, const struct world_letter *letter)
{
    const struct world_options *options = world->options;
    struct world_network *network = &world->network;
    ASSERT(letter->to >= 0 && letter->to < options->nodes && letter->to != letter->from);
    world_count(world, WORLD_COUNT_letters);
    if (network->cuts[letter->from][letter->to] > 0) {
        world_count(world, WORLD_COUNT_letters_cut);
        history_letter(world, letter, "cut off");
        return;
    }
    bool is_troubled = world->phase == PHASE_TROUBLE;
    uint32_t loss = options->lose + (network->storms > 0 ? STORM_LOSS : 0);
    loss += options->lose_openings > 0 && is_opening(letter) ? options->lose_openings : 0;
    bool is_lost = is_troubled && prng_below(&network->prng, THOUSAND) < loss;
    bool is_repeated = is_troubled && prng_below(&network->prng, THOUSAND) < options->repeat;
    bool has_room = network->arrival_count + 2 <= LETTERS_MAX;
    if (is_lost || !has_room) {
        world_count(world, WORLD_COUNT_letters_lost);
        history_letter(world, letter, "lost");
        return;
    }
    struct world_letter *copy = letter_copy(network, letter);
    if (!copy) {
        return;
    }
    if (is_troubled && prng_below(&network->prng, THOUSAND) < options->spoil) {
        letter_spoil(world, copy);
    }
    history_letter(world, copy, copy->is_spoiled ? "sent and spoiled" : "sent");
    uint64_t time_ns = arrival_ns(world, letter->from, letter->to);
    if (is_troubled && is_late_hand_over(letter)) {
        time_ns += options->timeout_ns + prng_below(&network->prng, 2 * options->timeout_ns);
    }
    post(world, copy, time_ns);
    if (is_repeated) {
        world_count(world, WORLD_COUNT_letters_repeated);
        uint64_t later_ns = prng_below(&network->prng, options->timeout_ns * 2);
        post(world, copy, world->now_ns + options->link_ns_min + later_ns);
    }
}

/* -- Arriving -- */

static void live_take(struct world *world,
                      struct world_node *node,
                      const struct world_letter *letter)
{
    struct world_replica *replica = &node->replicas[letter->log];
    const struct quorum_member *from = &world->config.voters[letter->from];
    if (letter->kind == LETTER_CONFIRM) {
        member_confirmed(replica->member, from, letter->epoch, letter->sent_ns);
        return;
    }
    if (member_heard(replica->member, from, letter->epoch, letter->committed)) {
        const struct world_letter answer = {.kind = LETTER_CONFIRM,
                                            .from = letter->to,
                                            .to = letter->from,
                                            .log = letter->log,
                                            .epoch = letter->epoch,
                                            .sent_ns = letter->sent_ns};
        judge_send(world, replica, &answer);
        network_send(world, &answer);
    }
}

static void letter_take(struct world *world,
                        struct world_node *node,
                        const struct world_letter *letter)
{
    node_clock_set(world, node);
    history_letter(world, letter, "arrives");
    if (letter->kind == LETTER_MESSAGE) {
        struct pyr_error error = {0};
        enum pyr_err err =
            member_receive(node->replicas[letter->log].member, &letter->inner, &error);
        if (err == PYR_ERR_BUSY) {
            world_count(world, WORLD_COUNT_letters_refused);
        } else if (err != PYR_OK && !letter->is_spoiled) {
            world_violate(world, "node %d refuses a letter: %s", node->number + 1, error.message);
        }
    } else {
        live_take(world, node, letter);
    }
    node_turn(world, node);
}

void network_happen(struct world *world)
{
    struct world_network *network = &world->network;
    struct world_arrival arrival = arrival_pop(world);
    struct world_letter *letter = &network->letters[arrival.letter];
    struct world_node *node = &world->nodes[letter->to];
    world_mix(world, (uint64_t)letter->from * WORLD_NODES_MAX + (uint64_t)letter->to);
    world_mix(world, (uint64_t)letter->kind << 32 | (uint64_t)letter->inner.message.kind);
    if (letter->is_gone) {
        world_count(world, WORLD_COUNT_letters_lost);
        letter_release(network, letter);
        return;
    }
    if (node->state == NODE_UP && node->paused_ns > world->now_ns) {
        arrival.time_ns = node->paused_ns;
        arrival_push(world, arrival);
        return;
    }
    bool is_cut = network->cuts[letter->from][letter->to] > 0;
    if (node->state == NODE_UP && !is_cut) {
        letter_take(world, node, letter);
    } else {
        world_count(world, is_cut ? WORLD_COUNT_letters_cut : WORLD_COUNT_letters_down);
        history_letter(world, letter, "meets nobody");
    }
    letter_release(network, letter);
}

/* -- Life -- */

void network_forget(struct world *world, int32_t node)
{
    struct world_network *network = &world->network;
    for (uint32_t index = 0; index < network->arrival_count; index++) {
        struct world_letter *letter = &network->letters[network->arrivals[index].letter];
        letter->is_gone |= letter->from == node;
    }
}

void network_heal(struct world *world)
{
    struct world_network *network = &world->network;
    memset(network->cuts, 0, sizeof network->cuts);
    memset(network->slow, 0, sizeof network->slow);
    network->storms = 0;
}

void network_init(struct world *world)
{
    struct world_network *network = &world->network;
    network->letters = calloc(LETTERS_MAX, sizeof *network->letters);
    network->arrivals = calloc(LETTERS_MAX, sizeof *network->arrivals);
    ASSERT(network->letters && network->arrivals);
    for (uint32_t letter = 0; letter < LETTERS_MAX; letter++) {
        network->letters[letter].next_free = letter + 1;
    }
    world->next_ns[ACTOR_NETWORK] = NEVER;
}

void network_deinit(struct world *world)
{
    for (uint32_t letter = 0; letter < LETTERS_MAX; letter++) {
        free(world->network.letters[letter].data);
    }
    free(world->network.letters);
    free(world->network.arrivals);
}
