/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/json - JSON on stdout, one value after the other.
 *
 * Threads: the one that calls.
 */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include "base/bytes.h"

/** Print @value as a JSON string; what is no UTF-8 becomes U+FFFD. Borrows. */
void json_string(struct bytes value);

/** Print "name":"value", with a comma in front if @is_next. Borrows. */
void json_field(bool is_next, const char *name, const char *value);

#endif /* CLI_JSON_H */
