/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/bytes - memory as a pointer and a count together, and the one way out of const.
 */
#ifndef BASE_BYTES_H
#define BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Bytes that someone else owns. `data` may be NULL only when `count` is 0. */
struct bytes {
    const uint8_t *data;
    size_t count;
};

/* Bytes that may be written, owned by someone else. */
struct bytes_mut {
    uint8_t *data;
    size_t count;
};

/** Return the view of the zero-terminated @text without its zero. Borrows. */
static inline struct bytes bytes_of_text(const char *text)
{
    return (struct bytes){.data = (const uint8_t *)text, .count = strlen(text)};
}

/** Return whether @left and @right hold the same bytes. */
static inline bool bytes_equal(struct bytes left, struct bytes right)
{
    return left.count == right.count &&
           (left.count == 0 || memcmp(left.data, right.data, left.count) == 0);
}

/** Return @data without its const, for a foreign signature that forgot it. Nothing writes through
 * it. */
static inline void *bytes_unconst(const void *data)
{
    union {
        const void *in;
        void *out;
    } both = {.in = data};

    return both.out;
}

/** Return @value raised to the next multiple of @alignment, a power of two. */
static inline uint64_t align_up(uint64_t value, uint64_t alignment)
{
    return (value + alignment - 1) & ~(alignment - 1);
}

/** Return @value lowered to a multiple of @alignment, a power of two. */
static inline uint64_t align_down(uint64_t value, uint64_t alignment)
{
    return value & ~(alignment - 1);
}

#define container_of(pointer, type, member) \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#endif /* BASE_BYTES_H */
