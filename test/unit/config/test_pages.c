/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The schema and the pages of types that no key has yet; those of all keys are pages.py's.
 */
#include "config/config_case.h"
#include "config/pages.h"
#include "lib/case.h"

static struct config_case one;

TEST(config_put_schema, describes_texts_and_lists)
{
    static char room[4096];
    struct text text = text_of(room, sizeof room);
    config_case_begin_other(&one);
    config_put_schema(one.target.table, &text);

    CHECK_TEXT(text.data,
               "{\n"
               "  \"$schema\": \"https://json-schema.org/draft/2020-12/schema\",\n"
               "  \"title\": \"Pyralog's configuration\",\n"
               "  \"type\": \"object\",\n"
               "  \"additionalProperties\": false,\n"
               "  \"properties\": {\n"
               "    \"node\": {\n"
               "      \"type\": \"object\",\n"
               "      \"additionalProperties\": false,\n"
               "      \"properties\": {\n"
               "        \"name\": {\n"
               "          \"description\": \"A name.\",\n"
               "          \"type\": \"string\", \"minLength\": 1, \"maxLength\": 8\n"
               "        },\n"
               "        \"nodes\": {\n"
               "          \"description\": \"The nodes.\",\n"
               "          \"type\": \"array\", \"minItems\": 1, \"maxItems\": 3, "
               "\"items\": {\"type\": \"string\", \"minLength\": 1, \"maxLength\": 255}\n"
               "        }\n"
               "      }\n"
               "    }\n"
               "  }\n"
               "}\n");
}

TEST(config_put_markdown, describes_texts_and_lists)
{
    static char room[4096];
    struct text text = text_of(room, sizeof room);
    config_case_begin_other(&one);
    config_put_markdown(one.target.table, &text);

    CHECK_TEXT(text.data,
               "| key | of a | default | allowed | what it is |\n|---|---|---|---|---|\n"
               "| `node.name` | node | `\"one\"` | a text of 1 to 8 bytes | A name. |\n"
               "| `node.nodes` | node | `[]` | a list of 1 to 3 texts of 1 to 255 bytes | The "
               "nodes. |\n");
}
