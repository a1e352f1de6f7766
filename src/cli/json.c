/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/json - strings, in pieces that fit a buffer.
 */
#include "cli/json.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/text.h"

/* A byte becomes at most six signs, and there are two quotes and a zero. */
#define ROOM_BYTES(count) ((count)*6 + 3)

void json_string(struct bytes value)
{
    ASSERT(value.data != NULL || value.count == 0);

    char *room = malloc(ROOM_BYTES(value.count));
    if (!room) {
        (void)printf("null");
        return;
    }
    struct text text = text_of(room, ROOM_BYTES(value.count));
    text_put_json_string(&text, value);
    ASSERT(!text.is_cut);
    (void)fputs(room, stdout);
    free(room);
}

void json_field(bool is_next, const char *name, const char *value)
{
    ASSERT(value != NULL);

    (void)printf("%s\"%s\":", is_next ? "," : "", name);
    json_string(bytes_of_text(value));
}
