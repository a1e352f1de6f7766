/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config/value - one value: from text or number into its field, and back to text.
 *
 * A setter changes the field or leaves it as it was; why it was refused is always told in the same
 * words: what was found, and what config_put_allowed says.
 *
 * Threads: one owner of the values.   Memory: no allocation.
 */
#ifndef CONFIG_VALUE_H
#define CONFIG_VALUE_H

#include "config/keys.h"

/** Set the field of @key in @values to its default. */
void config_value_default(const struct config_key *key, void *values);

/** Set a NUMBER, BYTES or MILLISECONDS. Return false if @number is not allowed. */
bool config_set_number(const struct config_key *key, void *values, int64_t number);

/** Set a FLAG. Return false if @key is none. */
bool config_set_flag(const struct config_key *key, void *values, bool flag);

/** Set what a JSON string may be: a choice, a text, or an amount with its unit. Borrows @text.
 * Return false if it is not allowed. */
bool config_set_string(const struct config_key *key, void *values, const char *text);

/** Set TEXTS to the @count texts of @list, which may be the empty list. Return false if one is too
 * long, or if there are too many or too few. */
bool config_set_texts(const struct config_key *key, void *values, const struct config_texts *list);

/** Set any value from what a person typed: true, 16, 64MiB, a word; texts with commas between.
 * Borrows @text. Return false if it is not allowed. */
bool config_set_typed(const struct config_key *key, void *values, const char *text);

/** Put the value of @key as a file would have it: true, 16, "64MiB", ["a", "b"]. */
void config_put_value(const struct config_key *key, const void *values, struct text *text);

/** Put @number of @key, as above. */
void config_put_number(const struct config_key *key, int64_t number, struct text *text);

/** Put what @key allows: "true or false", "a whole number from 2 to 1024". */
void config_put_allowed(const struct config_key *key, struct text *text);

/** Take the next word of a row's choices from @rest. Return false at the end. */
bool config_next_choice(struct bytes *rest, struct bytes *ret_word);

#endif /* CONFIG_VALUE_H */
