/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io/mailbox - a bounded queue from many threads into one loop, with a wake-up.
 *
 * Part of the path:  any thread: io_mailbox_post -> [ring] -> io_loop_dispatch -> receive(letter)
 *
 * A letter is a pointer whose meaning is the user's; posting one gives it away, receiving takes it.
 * The queue is base/ring; its own wake flag is not used, since a loop sleeps for other reasons too
 * and has one flag for all of them (io/loop.h). A full box refuses (back-pressure); nothing is
 * dropped. The loop is woken only if it sleeps.
 *
 * Invariants:
 *   IO-7  each posted letter is received exactly once, letters of one poster in their order
 *   IO-8  a box never holds more letters than it has places
 *
 * Threads: io_mailbox_post any; the rest, and receive(), the loop's owner.
 */
#ifndef IO_MAILBOX_H
#define IO_MAILBOX_H

#include "base/ring.h"
#include "io/io.h"

struct io_mailbox {
    struct ring ring;
    struct ring_cell *cells;
    size_t cell_count; /* A power of two. */
    struct io_loop *loop;
    void (*receive)(struct io_mailbox *mailbox, void *letter);
    void *ctx;
    struct io_mailbox *next; /* For the loop. */
};

/**
 * Set up @mailbox with room for @letters_max letters (raised to a power of two) and let @loop empty
 * it. Its loop, receive and ctx are set here; @receive runs inside io_loop_dispatch.
 *
 * Return 0 or ENOMEM. Undone by io_mailbox_deinit.
 */
MUST_CHECK int io_mailbox_init(struct io_mailbox *mailbox,
                               struct io_loop *loop,
                               uint32_t letters_max,
                               void (*receive)(struct io_mailbox *mailbox, void *letter),
                               void *ctx);

/** Release @mailbox, which is empty; nobody begins to post any more, and no dispatch is running.
 * Accepts a zeroed one. */
void io_mailbox_deinit(struct io_mailbox *mailbox);

/** Post @letter (not NULL) and wake the loop if it sleeps. Return false, with the letter still the
 * caller's, if the box is full. Any thread; never blocks. */
MUST_CHECK bool io_mailbox_post(struct io_mailbox *mailbox, void *letter);

/** Hand what is in @mailbox to its receive(), at most one round of the ring. Return how many. For
 * io/loop. */
size_t mailbox_deliver(struct io_mailbox *mailbox);

#endif /* IO_MAILBOX_H */
