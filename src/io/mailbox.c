/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io/mailbox - posting into the ring and delivering from it.
 */
#include "io/mailbox.h"

#include <errno.h>

#include "base/assert.h"
#include "base/limits.h"
#include "io/loop.h"

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

    size_t cell_count = 1;
    while (cell_count < letters_max) {
        cell_count *= 2;
    }
    struct ring_cell *cells =
        io_alloc(loop->io, cell_count * sizeof *cells, _Alignof(struct ring_cell));
    if (!cells) {
        return ENOMEM;
    }

    memset(mailbox, 0, sizeof *mailbox);
    ring_init(&mailbox->ring, cells, cell_count);
    mailbox->cells = cells;
    mailbox->cell_count = cell_count;
    mailbox->loop = loop;
    mailbox->receive = receive;
    mailbox->ctx = ctx;
    loop_mailbox_add(loop, mailbox);
    return 0;
}

void io_mailbox_deinit(struct io_mailbox *mailbox)
{
    ASSERT(mailbox);

    if (mailbox->cells) {
        ASSERT(!ring_pop(&mailbox->ring)); /* IO-7 */
        loop_mailbox_remove(mailbox->loop, mailbox);
        io_free(mailbox->loop->io, mailbox->cells);
        mailbox->cells = NULL;
    }
}

bool io_mailbox_post(struct io_mailbox *mailbox, void *letter)
{
    ASSERT(mailbox->cells);
    ASSERT(letter);
    struct io_loop *loop = mailbox->loop;
    bool must_wake = false;

    loop_bring_begin(loop);
    bool has_room = ring_push(&mailbox->ring, letter, &must_wake); /* IO-8 */
    /* From here on the letter may be delivered, and with the last one the mailbox may go. */
    if (has_room) {
        loop_mail_arrived(loop);
    }
    loop_bring_end(loop);
    return has_room;
}

size_t mailbox_deliver(struct io_mailbox *mailbox)
{
    ASSERT(mailbox->cells);

    size_t count = 0;
    while (count < mailbox->cell_count) {
        void *letter = ring_pop(&mailbox->ring);
        if (!letter) {
            return count; /* Empty, or its poster is not done and will say so. */
        }
        count++;
        mailbox->receive(mailbox, letter); /* IO-7 */
    }

    /* A whole round: let the others have their turn, and come back. */
    loop_mail_arrived(mailbox->loop);
    return count;
}
