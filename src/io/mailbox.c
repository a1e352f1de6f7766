/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io/mailbox - posting and delivering, after Vyukov's bounded queue with a ticket in each place.
 */
#include "io/mailbox.h"

#include <errno.h>

#include "base/assert.h"
#include "base/limits.h"
#include "io/loop.h"

struct io_mailbox_place {
    _Atomic uint64_t ticket;
    void *letter;
};

int io_mailbox_init(struct io_mailbox *mailbox,
                    struct io_loop *loop,
                    uint32_t letters_max,
                    void (*receive)(struct io_mailbox *mailbox, void *letter),
                    void *ctx)
{
    ASSERT(mailbox);
    ASSERT(receive);
    ASSERT(letters_max > 0);
    ASSERT(letters_max <= IO_MAILBOX_LETTERS_MAX);

    uint64_t place_count = 1;
    while (place_count < letters_max) {
        place_count *= 2;
    }
    struct io_mailbox_place *places =
        io_alloc(loop->io, place_count * sizeof *places, _Alignof(struct io_mailbox_place));
    if (!places) {
        return ENOMEM;
    }
    for (uint64_t index = 0; index < place_count; index++) {
        atomic_init(&places[index].ticket, index);
    }

    *mailbox = (struct io_mailbox){.loop = loop,
                                   .receive = receive,
                                   .ctx = ctx,
                                   .places = places,
                                   .place_count = place_count};
    loop_mailbox_add(loop, mailbox);
    return 0;
}

void io_mailbox_deinit(struct io_mailbox *mailbox)
{
    ASSERT(mailbox);

    if (mailbox->places) {
        ASSERT(mailbox->read_next == atomic_load(&mailbox->write_next)); /* IO-7 */
        loop_mailbox_remove(mailbox->loop, mailbox);
        io_free(mailbox->loop->io, mailbox->places);
        *mailbox = (struct io_mailbox){0};
    }
}

bool io_mailbox_post(struct io_mailbox *mailbox, void *letter)
{
    ASSERT(mailbox->places);
    ASSERT(letter);

    struct io_loop *loop = mailbox->loop;
    struct io_mailbox_place *place = NULL;
    uint64_t number = atomic_load_explicit(&mailbox->write_next, memory_order_relaxed);
    bool is_taken = false;
    while (!is_taken) {
        place = &mailbox->places[number & (mailbox->place_count - 1)];
        uint64_t ticket = atomic_load_explicit(&place->ticket, memory_order_acquire);
        if (ticket == number) {
            is_taken =
                atomic_compare_exchange_weak_explicit(&mailbox->write_next, &number, number + 1,
                                                      memory_order_relaxed, memory_order_relaxed);
        } else if (ticket < number) {
            return false; /* The letter of the round before is still there: full. IO-8 */
        } else {
            number = atomic_load_explicit(&mailbox->write_next, memory_order_relaxed);
        }
    }

    place->letter = letter;
    loop_bring_begin(loop);
    atomic_store_explicit(&place->ticket, number + 1, memory_order_release);
    /* From here on the letter may be delivered, and with the last one the mailbox may go. */
    loop_mail_arrived(loop);
    loop_bring_end(loop);
    return true;
}

size_t mailbox_deliver(struct io_mailbox *mailbox)
{
    ASSERT(mailbox->places);

    size_t count = 0;
    while (count < mailbox->place_count) {
        struct io_mailbox_place *place =
            &mailbox->places[mailbox->read_next & (mailbox->place_count - 1)];
        uint64_t ticket = atomic_load_explicit(&place->ticket, memory_order_acquire);
        if (ticket != mailbox->read_next + 1) {
            return count; /* Empty, or its poster is not done and will say so. */
        }
        void *letter = place->letter;
        atomic_store_explicit(&place->ticket, mailbox->read_next + mailbox->place_count,
                              memory_order_release);
        mailbox->read_next++;
        count++;
        ASSERT(letter); /* IO-7 */
        mailbox->receive(mailbox, letter);
    }

    /* A whole round: let the others have their turn, and come back. */
    loop_mail_arrived(mailbox->loop);
    return count;
}
