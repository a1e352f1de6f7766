/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lib/canary - the mistakes that a sanitizer must see, one chosen by the first argument.
 *
 * A sanitizer build that finds nothing may be one that looks at nothing. tools/canary.py runs each
 * mistake in the build that should end it.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Read one byte past a heap block whose length the compiler cannot know. */
static int overflow(int count)
{
    char *block = calloc((size_t)count, 1);
    int value = block ? *(volatile char *)&block[count] : 0;
    free(block);
    return value;
}

/* Add past the largest int. */
static int undefined(int count)
{
    volatile int large = 0x7fffffff;
    return large + count;
}

static void *write_unguarded(void *ctx)
{
    for (int round = 0; round < 1000; round++) {
        ++*(volatile int *)ctx;
    }
    return NULL;
}

/* Let two threads write one number without an order between them. */
static int race(int count)
{
    int number = count;
    pthread_t threads[2];
    for (int index = 0; index < 2; index++) {
        if (pthread_create(&threads[index], NULL, write_unguarded, &number) != 0) {
            return 0;
        }
    }
    for (int index = 0; index < 2; index++) {
        (void)pthread_join(threads[index], NULL);
    }
    return number;
}

int main(int argument_count, char **arguments)
{
    const char *mistake = argument_count > 1 ? arguments[1] : "";
    int value = 0;
    if (strcmp(mistake, "overflow") == 0) {
        value = overflow(argument_count * 8);
    } else if (strcmp(mistake, "undefined") == 0) {
        value = undefined(argument_count);
    } else if (strcmp(mistake, "race") == 0) {
        value = race(argument_count);
    } else {
        (void)fprintf(stderr, "usage: canary overflow | undefined | race\n");
        return 2;
    }
    (void)printf("nobody noticed: %d\n", value);
    return 0;
}
