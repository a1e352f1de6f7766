/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files, good and bad: each mistake has its line, its column, its key, and one sentence
 * (config/read.c, config/scan.c, config/problems.c).
 */
#include <cjson/cJSON.h>
#include <stdio.h>

#include "config/config_case.h"
#include "config/read.h"
#include "lib/case.h"

static struct config_case one;

/* -- Bad files -- */

struct bad_file {
    const char *text;
    const char *problem;
};

#define VALUE "expected a value: \"text\", 16, true, false, {...} or [...]"

static const struct bad_file bad_files[] = {
    /* No JSON. */
    {"", "c.json:1:1: the file is empty; allowed: one object, {...}"},
    {" \n\n ", "c.json:3:2: the file is empty; allowed: one object, {...}"},
    {"// nothing", "c.json:1:11: the file is empty; allowed: one object, {...}"},
    {"\xEF\xBB\xBF{}", "c.json:1:1: a byte order mark; allowed: UTF-8 without one"},
    {"{\"a\": \"\xC3\x28\"}", "c.json:1:8: bytes that are not UTF-8; allowed: UTF-8 text"},
    {"{\n  \"\xC0\xAF\": 1}", "c.json:2:4: bytes that are not UTF-8; allowed: UTF-8 text"},
    {"{\"\xED\xA0\x80\": 1}", "c.json:1:3: bytes that are not UTF-8; allowed: UTF-8 text"},
    {"{\"\xF4\x90\x80\x80\": 1}", "c.json:1:3: bytes that are not UTF-8; allowed: UTF-8 text"},
    {"{\"\xE2\x82", "c.json:1:3: bytes that are not UTF-8; allowed: UTF-8 text"},
    {"{} {}", "c.json:1:4: found '{'; expected nothing behind the first value"},
    {"{}\nmore", "c.json:2:1: found 'more'; expected nothing behind the first value"},
    {"{", "c.json:1:2: the file ends too early; expected a key in double quotes"},
    {"{\"storage\"", "c.json:1:11: the file ends too early; expected ':' behind the key"},
    {"{\"storage\":", "c.json:1:12: the file ends too early; expected a value"},
    {"{\"storage\": {}", "c.json:1:15: the file ends too early; expected ',' or '}'"},
    {"[1", "c.json:1:3: the file ends too early; expected ',' or ']'"},
    {"{\"a\" 1}", "c.json:1:6: found '1'; expected ':' behind the key"},
    {"{\"a\": 1 \"b\": 2}", "c.json:1:9: found '\"'; expected ',' or '}'"},
    {"{\"a\": 1,}", "c.json:1:9: a comma before the end; leave it out"},
    {"[1,]", "c.json:1:4: a comma before the end; leave it out"},
    {"{,}", "c.json:1:2: found ','; expected a key in double quotes"},
    {"{storage: 1}", "c.json:1:2: found 'storage'; expected a key in double quotes"},
    {"{'a': 1}", "c.json:1:2: found '''; expected a key in double quotes"},
    {"{\"a\": 'b'}", "c.json:1:7: found '''; " VALUE},
    {"{\"a\": }", "c.json:1:7: found '}'; " VALUE},
    {"{\"a\": True}", "c.json:1:7: found 'True'; " VALUE},
    {"{\"a\": 007}", "c.json:1:7: found '007'; " VALUE},
    {"{\"a\": +1}", "c.json:1:7: found '+1'; " VALUE},
    {"{\"a\": 1.}", "c.json:1:7: found '1.'; " VALUE},
    {"{\"a\": .5}", "c.json:1:7: found '.5'; " VALUE},
    {"{\"a\": 1e}", "c.json:1:7: found '1e'; " VALUE},
    {"{\"a\": 0x10}", "c.json:1:7: found '0x10'; " VALUE},
    {"{\"a\": NaN}", "c.json:1:7: found 'NaN'; " VALUE},
    {"{\"a\": 64MiB}", "c.json:1:7: found '64MiB'; " VALUE},
    {"{\"a\": -}", "c.json:1:7: found '-'; " VALUE},
    {"{\"a\": 123456789012345678901234567890123}",
     "c.json:1:7: a number of too many digits; allowed: 32 at most"},
    {"{\"a\": [1}", "c.json:1:9: found '}'; expected ',' or ']'"},
    {"{\"a\": \"b\n\"}", "c.json:1:7: a string without its closing quote on the same line"},
    {"{\"a\": \"b", "c.json:1:7: a string without its closing quote on the same line"},
    {"{\"a\": \"b\tc\"}", "c.json:1:9: a control character in a string; write \\uXXXX"},
    {"{\"a\": \"\\x\"}",
     "c.json:1:8: an unknown escape; allowed: \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX"},
    {"{\"a\": \"\\u12G4\"}", "c.json:1:8: an escape \\u without four hexadecimal digits"},
    {"{\"a\": \"\\u0000\"}", "c.json:1:8: the escape \\u0000; allowed: text without zero bytes"},
    {"{\"a\": \"\\uD800\"}", "c.json:1:8: half of a surrogate pair; allowed: both halves"},
    {"{\"a\": \"\\uDC00\\uD800\"}", "c.json:1:8: half of a surrogate pair; allowed: both halves"},
    {"{\n/* old */\n}", "c.json:2:1: a comment with '/*'; allowed: // to the end of the line"},
    {"{} # end", "c.json:1:4: a comment with '#'; allowed: // to the end of the line"},
    {"[[[[[[[[[1]]]]]]]]]", "c.json:1:9: nested too deep; allowed: 8 levels"},
    /* Not a configuration. */
    {"[]", "c.json:1:1: found a list; allowed: an object, {...}"},
    {" 12", "c.json:1:2: found 12; allowed: an object, {...}"},
    {"null", "c.json:1:1: found null; allowed: an object, {...}"},
    {"{\"storage\": 5}", "c.json:1:13: storage: found 5; allowed: an object, {...}"},
    {"{\"storage\": {\"wal\": [1]}}",
     "c.json:1:21: storage.wal: found a list; allowed: an object, {...}"},
    /* Keys. */
    {"{\"storge\": {\"shards\": 1}}", "c.json:1:2: storge: unknown key; did you mean 'storage'?"},
    {"{\"storage\": {\n  \"shrads\": 1}}",
     "c.json:2:3: storage.shrads: unknown key; did you mean 'storage.shards'?"},
    {"{\"storage\": {\"cache_config\": {\"max_szie\": 1}}}",
     "c.json:1:31: storage.cache_config.max_szie: unknown key; did you mean "
     "'storage.cache_config.max_size'?"},
    {"{\"write_quorum\": 2}", "c.json:1:2: write_quorum: unknown key; did you mean "
                              "'replication.quorum.write_quorum'?"},
    {"{\"tls\": {\"a\": 1, \"b\": 2}}",
     "c.json:1:2: tls: unknown key; docs/configuration.md has all keys"},
    {"{\"storage.shards\": 1}", "c.json:1:2: storage.shards: unknown key; a dot is no part of a "
                                "name, write sections as objects: 'storage.shards'"},
    {"{\"\": 1}", "c.json:1:2: unknown key; docs/configuration.md has all keys"},
    {"{\"Storage\": {}}", "c.json:1:2: Storage: unknown key; did you mean 'storage'?"},
    {"{\"x\\ny\\u001b[1m\": 1}",
     "c.json:1:2: x?y?[1m: unknown key; docs/configuration.md has all keys"},
    {"{\"storage\": {\"shards\": 1,\n \"shards\": 2}}",
     "c.json:2:2: storage.shards: doubled key; it stands in line 1 before, allowed: once"},
    {"{\"storage\": {\"shards\": 1},\n\n \"storage\": {\"must_exist\": true}}",
     "c.json:3:2: storage: doubled key; it stands in line 1 before, allowed: once"},
    {"{\"storage\": {\"shards\": 1, \"shar\\u0064s\": 2}}",
     "c.json:1:27: storage.shards: doubled key; it stands in line 1 before, allowed: once"},
    /* Values. */
    {"{\"storage\": {\"shards\": 65}}",
     "c.json:1:24: storage.shards: found 65; allowed: a whole number from 0 to 64"},
    {"{\"storage\": {\"shards\": -1}}",
     "c.json:1:24: storage.shards: found -1; allowed: a whole number from 0 to 64"},
    {"{\"storage\": {\"shards\": 1.5}}",
     "c.json:1:24: storage.shards: found 1.5; allowed: a whole number from 0 to 64"},
    {"{\"storage\": {\"shards\": 1e1}}",
     "c.json:1:24: storage.shards: found 1e1; allowed: a whole number from 0 to 64"},
    {"{\"storage\": {\"shards\": \"4\"}}",
     "c.json:1:24: storage.shards: found \"4\"; allowed: a whole number from 0 to 64"},
    {"{\"storage\": {\"shards\": null}}",
     "c.json:1:24: storage.shards: found null; allowed: a whole number from 0 to 64"},
    {"{\"storage\": {\"shards\": true}}",
     "c.json:1:24: storage.shards: found true; allowed: a whole number from 0 to 64"},
    {"{\"storage\": {\"shards\": {\"a\": 1}}}",
     "c.json:1:24: storage.shards: found an object; allowed: a whole number from 0 to 64"},
    {"{\"storage\": {\"shards\": 99999999999999999999}}",
     "c.json:1:24: storage.shards: found 99999999999999999999; allowed: a whole number from 0 to "
     "64"},
    {"{\"storage\": {\"must_exist\": 1}}",
     "c.json:1:28: storage.must_exist: found 1; allowed: true or false"},
    {"{\"storage\": {\"must_exist\": \"true\"}}",
     "c.json:1:28: storage.must_exist: found \"true\"; allowed: true or false"},
    {"{\"storage\": {\"backend\": \"aio\"}}",
     "c.json:1:25: storage.backend: found \"aio\"; allowed: \"auto\", \"posix\" or \"uring\""},
    {"{\"storage\": {\"backend\": 1}}",
     "c.json:1:25: storage.backend: found 1; allowed: \"auto\", \"posix\" or \"uring\""},
    {"{\"storage\": {\"wal\": {\"file_bytes\": 65537}}}",
     "c.json:1:36: storage.wal.file_bytes: found 65537; allowed: bytes, such as 4096 or \"64MiB\", "
     "from 64KiB to 1GiB in steps of 4KiB"},
    {"{\"storage\": {\"wal\": {\"file_bytes\": \"64MB\"}}}",
     "c.json:1:36: storage.wal.file_bytes: found \"64MB\"; allowed: bytes, such as 4096 or "
     "\"64MiB\", from 64KiB to 1GiB in steps of 4KiB"},
    {"{\"storage\": {\"scrub\": {\"bytes_per_s\": 5}}}",
     "c.json:1:39: storage.scrub.bytes_per_s: found 5; allowed: 0, or bytes, such as 4096 or "
     "\"64MiB\", from 1KiB to 1TiB"},
    {"{\"topics\": {\"defaults\": {\"sync_interval_ms\": \"500us\"}}}",
     "c.json:1:46: topics.defaults.sync_interval_ms: found \"500us\"; allowed: a time in "
     "milliseconds, such as 10 or \"10ms\", from 1ms to 4294967295ms"},
    {"{\"topics\": {\"defaults\": {\"sync_interval_ms\": \"1500us\"}}}",
     "c.json:1:46: topics.defaults.sync_interval_ms: found \"1500us\"; allowed: a time in "
     "milliseconds, such as 10 or \"10ms\", from 1ms to 4294967295ms"},
    {"{\"topics\": {\"defaults\": {\"sync_interval_ms\": \"5\"}}}",
     "c.json:1:46: topics.defaults.sync_interval_ms: found \"5\"; allowed: a time in "
     "milliseconds, such as 10 or \"10ms\", from 1ms to 4294967295ms"},
    {"{\"topics\": {\"defaults\": {\"retention_ms\": -5}}}",
     "c.json:1:42: topics.defaults.retention_ms: found -5; allowed: a time in milliseconds, such "
     "as 10 or \"10ms\", from 0ms on"},
};

/* The sentence is all that a user has at the start that failed. CFG-5 */
TEST(config_read, names_place_key_fault_and_what_is_allowed)
{
    for (size_t index = 0; index < sizeof bad_files / sizeof *bad_files; index++) {
        config_case_begin(&one);
        struct config before;
        memcpy(&before, &one.loaded.config, sizeof before);
        config_case_read(&one, bad_files[index].text);

        CHECK_TEXT(one.problems.list[0].message, bad_files[index].problem);
        CHECK_INT(one.problems.count, 1);
        /* The first of two doubled keys was taken. */
        one.loaded.config.node.shards = before.node.shards;
        CHECK_BYTES(&before, &one.loaded.config, sizeof before);
    }
}

/* Columns are what an editor shows: characters, not bytes. */
TEST(config_read, counts_columns_in_characters)
{
    config_case_begin(&one);
    config_case_read(&one, "{\"\xC3\xA4\xE2\x82\xAC\": 1, \"storage\": {\"shards\": 65}}");

    CHECK_INT(one.problems.count, 2);
    CHECK_TEXT(one.problems.list[1].message,
               "c.json:1:33: storage.shards: found 65; allowed: a whole number from 0 to 64");
}

/* A zero ends a text for C, and would hide what stands behind it. */
TEST(config_read, refuses_a_zero_byte)
{
    static const char text[] = "{}\n\0{\"storage\": 1}";
    config_case_begin(&one);
    config_case_read_bytes(&one, (struct bytes){(const uint8_t *)text, sizeof text - 1});

    config_case_check(&one, "c.json:2:1: a zero byte; allowed: UTF-8 text");
}

/* CFG-4: at the limits, and one past them. */
TEST(config_read, holds_its_limits)
{
    static char text[CONFIG_FILE_BYTES_MAX + 1];
    memset(text, ' ', sizeof text);
    text[0] = '{';
    text[1] = '}';
    config_case_begin(&one);
    config_case_read_bytes(&one, (struct bytes){(const uint8_t *)text, sizeof text - 1});
    config_case_check(&one, NULL);
    config_case_read_bytes(&one, (struct bytes){(const uint8_t *)text, sizeof text});
    config_case_check(&one, "c.json:1:1: the file is too large; allowed: 65536 bytes");

    /* A list, and so many elements that the values are one too many. */
    memset(text, '1', sizeof text);
    text[0] = '[';
    const size_t end = (size_t)CONFIG_VALUES_MAX * 2;
    for (size_t at = 2; at < end; at += 2) {
        text[at] = ',';
    }
    config_case_begin(&one);
    text[end - 2] = ']';
    config_case_read_bytes(&one, (struct bytes){(const uint8_t *)text, end - 1});
    config_case_check(&one, "c.json:1:1: found a list; allowed: an object, {...}");
    config_case_begin(&one);
    text[end - 2] = ',';
    text[end] = ']';
    config_case_read_bytes(&one, (struct bytes){(const uint8_t *)text, end + 1});
    config_case_check(&one, "c.json:1:2048: too many values; allowed: 1024 in a file");
}

/* One mistake a start would be ten starts. CFG-3 */
TEST(config_read, reports_all_problems_and_keeps_a_bounded_number)
{
    static char text[CONFIG_FILE_BYTES_MAX];
    struct text file = text_of(text, sizeof text);
    text_put(&file, "{");
    for (int number = 0; number < CONFIG_PROBLEMS_MAX + 5; number++) {
        text_format(&file, "\"zzzzzzzzz%d\": %d,\n", number, number);
    }
    text_put(&file, "\"storage\": {\"shards\": 65, \"must_exist\": true}}");
    config_case_begin(&one);
    config_case_read(&one, text);

    CHECK_INT(one.problems.count, CONFIG_PROBLEMS_MAX + 6);
    CHECK_INT(config_problems_kept(&one.problems), CONFIG_PROBLEMS_MAX);
    CHECK_TEXT(one.problems.list[CONFIG_PROBLEMS_MAX - 1].message,
               "c.json:32:1: zzzzzzzzz31: unknown key; docs/configuration.md has all keys");
    CHECK(one.loaded.config.node.must_exist);
    struct pyr_error error = {0};
    CHECK_INT(config_problems_end(&one.problems, &error), PYR_ERR_INVALID);
    CHECK_TEXT(error.message, "c.json:1:2: zzzzzzzzz0: unknown key; docs/configuration.md has all "
                              "keys (and 37 more)");
    one.problems.count = 1;
    CHECK_INT(config_problems_end(&one.problems, &error), PYR_ERR_INVALID);
    CHECK_TEXT(error.message,
               "c.json:1:2: zzzzzzzzz0: unknown key; docs/configuration.md has all keys");
    one.problems.count = 0;
    CHECK_INT(config_problems_end(&one.problems, &error), PYR_OK);
}

/* What a name or a value holds must not flood the line, nor be cut within a character. */
TEST(config_read, shows_the_beginning_of_what_is_long)
{
    config_case_begin(&one);
    config_case_read(&one, "{\"storage\": {\"backend\": \"0123456789012345678901234567890123456789"
                           "012345\xE2\x82\xAC more\"}}");

    config_case_check(&one, "c.json:1:25: storage.backend: found \"0123456789012345678901234567890"
                            "123456789012345...; allowed: \"auto\", \"posix\" or \"uring\"");
}

/* A path that fits into no buffer is unknown, not cut to one that is known. */
TEST(config_read, takes_no_part_of_a_long_name)
{
    static char text[4 * CONFIG_PATH_BYTES_MAX];
    struct text file = text_of(text, sizeof text);
    text_put(&file, "{\"storage\": {\"");
    for (int letter = 0; letter < 3 * CONFIG_PATH_BYTES_MAX; letter++) {
        text_put(&file, "a");
    }
    text_put(&file, "\": 1}}");
    config_case_begin(&one);
    config_case_read(&one, text);

    config_case_check(&one, "c.json:1:14: storage.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...: "
                            "unknown key; docs/configuration.md has all keys");
}

/* -- Good files -- */

/* The places are what an error, and `config print`, would name. */
TEST(config_read, takes_values_and_remembers_where_they_stand)
{
    config_case_begin(&one);
    config_case_read(&one, "// of a test\r\n{\n"
                           "  \"storage\": { // its \"comments\": {\n"
                           "    \"wal\": {\"file_bytes\": \"1MiB\", \"files_max\": 3},\n"
                           "    \"backend\": \"\\u0070osix\"\n  },\n"
                           "\t\"topics\": {\"defaults\": {\"sync\": \"batch\", "
                           "\"sync_interval_ms\": \"2s\"}}\n}\n// end");

    config_case_check(&one, NULL);
    CHECK_INT(one.loaded.config.shard.wal_file_bytes, MIB);
    CHECK_INT(one.loaded.config.shard.wal_files_max, 3);
    CHECK_INT(one.loaded.config.node.backend, PYR_BACKEND_POSIX);
    CHECK_INT(one.loaded.config.topic.sync, PYR_SYNC_BATCH);
    CHECK_INT(one.loaded.config.topic.sync_interval_ms, 2000);
    static const char *const origins[][2] = {
        {"storage.wal.file_bytes", "c.json:4:27"},
        {"storage.wal.files_max", "c.json:4:48"},
        {"storage.backend", "c.json:5:16"},
        {"topics.defaults.sync", "c.json:7:34"},
        {"storage.shards", "default"},
    };
    for (size_t index = 0; index < sizeof origins / sizeof *origins; index++) {
        char room[64];
        struct text text = text_of(room, sizeof room);
        size_t row = 0;
        CHECK(config_find(one.target.table, bytes_of_text(origins[index][0]), &row));
        config_put_origin(&one.target, row, &text);
        CHECK_TEXT(text.data, origins[index][1]);
    }
}

/* A double has 53 bits, and would make this 9007199254740992. */
TEST(config_read, does_not_round_numbers)
{
    config_case_begin(&one);
    config_case_read(&one, "{\"topics\": {\"defaults\": {\"retention_bytes\": 9007199254740993, "
                           "\"retention_ms\": 9223372036854775807}}}");

    config_case_check(&one, NULL);
    CHECK(one.loaded.config.topic.retention_bytes == INT64_C(9007199254740993));
    CHECK(one.loaded.config.topic.retention_ms == INT64_MAX);
}

/* An empty configuration is a good one. */
TEST(config_read, takes_an_empty_object)
{
    config_case_begin(&one);
    config_case_read(&one, "{\"storage\": {}, \"replication\": {\"quorum\": {}}}");

    config_case_check(&one, NULL);
}

/* -- Texts and lists -- */

TEST(config_read, takes_texts_and_lists_of_texts)
{
    config_case_begin_other(&one);
    CHECK_TEXT(one.other.name, "one");
    CHECK_INT(one.other.nodes.count, 0);
    config_case_read(&one, "{\"node\": {\"name\": \"\\u00e4\\ud83d\\ude00\", "
                           "\"nodes\": [\"a:1\", \"b\", \"c\"]}}");

    config_case_check(&one, NULL);
    CHECK_TEXT(one.other.name, "\xC3\xA4\xF0\x9F\x98\x80");
    CHECK_INT(one.other.nodes.count, 3);
    CHECK_TEXT(one.other.nodes.texts[0], "a:1");
    CHECK_TEXT(one.other.nodes.texts[2], "c");
}

TEST(config_read, refuses_texts_and_lists_that_are_too_long_or_of_others)
{
#define LIST "allowed: a list of 1 to 3 texts of 1 to 255 bytes"
    static const struct bad_file files[] = {
        {"{\"node\": {\"name\": \"\"}}",
         "c.json:1:19: node.name: found \"\"; allowed: a text of 1 to 8 bytes"},
        {"{\"node\": {\"name\": \"123456789\"}}",
         "c.json:1:19: node.name: found \"123456789\"; allowed: a text of 1 to 8 bytes"},
        {"{\"node\": {\"name\": [\"a\"]}}",
         "c.json:1:19: node.name: found a list; allowed: a text of 1 to 8 bytes"},
        {"{\"node\": {\"nodes\": []}}", "c.json:1:20: node.nodes: found a list; " LIST},
        {"{\"node\": {\"nodes\": \"a\"}}", "c.json:1:20: node.nodes: found \"a\"; " LIST},
        {"{\"node\": {\"nodes\": [\"a\", \"\"]}}", "c.json:1:20: node.nodes: found a list; " LIST},
        {"{\"node\": {\"nodes\": [\"a\", 1]}}", "c.json:1:20: node.nodes: found a list; " LIST},
        {"{\"node\": {\"nodes\": [\"a\", [\"b\"]]}}",
         "c.json:1:20: node.nodes: found a list; " LIST},
        {"{\"node\": {\"nodes\": [\"1\", \"2\", \"3\", \"4\"]}}",
         "c.json:1:20: node.nodes: found a list; " LIST},
        {"{\"node\": {\"nodes\": [\"1\",\"2\",\"3\",\"4\",\"5\",\"6\",\"7\",\"8\",\"9\"]}}",
         "c.json:1:20: node.nodes: found a list; " LIST},
    };
    for (size_t index = 0; index < sizeof files / sizeof *files; index++) {
        config_case_begin_other(&one);
        config_case_read(&one, files[index].text);
        config_case_check(&one, files[index].problem);
        CHECK_TEXT(one.other.name, "one");
        CHECK_INT(one.other.nodes.count, 0);
    }
}

/* -- Memory -- */

/* How many allocations of cJSON may still succeed, and how many blocks are out. */
static int allocations_left;
static int allocations_out;

static void *counted_malloc(size_t bytes)
{
    if (allocations_left == 0) {
        return NULL;
    }
    allocations_left--;
    allocations_out++;
    return malloc(bytes);
}

static void counted_free(void *block)
{
    allocations_out -= block ? 1 : 0;
    free(block);
}

/* Each allocation fails once: the call says so, nothing has changed, nothing is left behind. */
TEST(config_read, says_that_memory_is_missing_whichever_allocation_fails)
{
    static const char text[] = "{\"storage\": {\"shards\": 2, \"backend\": \"posix\"}}";
    cJSON_Hooks hooks = {.malloc_fn = counted_malloc, .free_fn = counted_free};
    cJSON_InitHooks(&hooks);
    int failures = 0;
    enum pyr_err err = PYR_ERR_NO_MEMORY;
    while (err != PYR_OK && failures < 100) {
        struct pyr_error error = {0};
        config_case_begin(&one);
        allocations_left = failures;
        err = config_read(&one.target, "c.json", bytes_of_text(text), &one.scan, &one.problems,
                          &error);
        CHECK_INT(allocations_out, 0);
        CHECK_INT(one.problems.count, 0);
        CHECK_INT(one.loaded.config.node.shards, err == PYR_OK ? 2 : 0);
        if (err != PYR_OK) {
            CHECK_INT(err, PYR_ERR_NO_MEMORY);
            CHECK_TEXT(error.message, "read 'c.json': out of memory");
            failures++;
        }
    }
    cJSON_InitHooks(NULL);
    CHECK(failures >= 8); /* Four items, three names, one string; some versions take more. */
}
