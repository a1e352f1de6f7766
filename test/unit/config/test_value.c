/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Values from text and back.
 */
#include "config/config_case.h"
#include "config/value.h"
#include "lib/case.h"

static struct config_case one;

static void check_shown(const char *path, const char *typed, const char *shown)
{
    char room[128];
    struct text text = text_of(room, sizeof room);
    size_t index = 0;
    CHECK(config_find(one.target.table, bytes_of_text(path), &index));
    CHECK(config_set_typed(&one.target.table->keys[index], one.target.values, typed));
    config_put_value(&one.target.table->keys[index], one.target.values, &text);
    CHECK_TEXT(text.data, shown);
}

/* What is printed can be put into a file. */
TEST(config_value, is_shown_as_a_file_would_have_it)
{
    config_case_begin(&one);
    check_shown("storage.cache_config.max_size", "65536", "\"64KiB\"");
    check_shown("storage.cache_config.max_size", "65537", "\"65537B\"");
    check_shown("storage.cache_config.max_size", "3TiB", "\"3TiB\"");
    check_shown("storage.cache_config.max_size", "2048TiB", "\"2048TiB\"");
    check_shown("topics.defaults.retention_bytes", "0", "\"0B\"");
    check_shown("topics.defaults.retention_ms", "24h", "\"24h\"");
    check_shown("topics.defaults.retention_ms", "7", "\"7ms\"");
    check_shown("topics.defaults.retention_ms", "1500", "\"1500ms\"");
    check_shown("topics.defaults.retention_ms", "90000", "\"90s\"");
    check_shown("topics.defaults.retention_ms", "120s", "\"2m\"");
    check_shown("storage.shards", "007", "7");
    check_shown("storage.must_exist", "true", "true");
    check_shown("topics.defaults.sync", "os", "\"os\"");
    config_case_begin_other(&one);
    check_shown("node.name", "a\"b", "\"a\\\"b\"");
    check_shown("node.nodes", "a,b:1", "[\"a\", \"b:1\"]");
}

TEST(config_value, refuses_typed_lists_with_gaps)
{
    config_case_begin_other(&one);
    const struct config_key *key = &one.target.table->keys[1];
    CHECK(config_set_typed(key, one.target.values, "a,b,c"));
    CHECK(!config_set_typed(key, one.target.values, ""));
    CHECK(!config_set_typed(key, one.target.values, "a,"));
    CHECK(!config_set_typed(key, one.target.values, ",a"));
    CHECK(!config_set_typed(key, one.target.values, "a,,b"));
    CHECK(!config_set_typed(key, one.target.values, "a,b,c,d"));
    CHECK(!config_set_typed(key, one.target.values, "1,2,3,4,5,6,7,8,9"));
    CHECK_INT(one.other.nodes.count, 3);
}

static void set_bad_default(void *ctx)
{
    struct config_key key = *(const struct config_key *)ctx;
    key.default_number = 65;
    config_value_default(&key, &one.loaded.config);
}

/* CFG-1: a default out of range is a mistake of the table. */
TEST(config_value, asserts_that_a_default_is_allowed)
{
    size_t index = 0;
    CHECK(config_find(config_table(), bytes_of_text("storage.shards"), &index));
    struct config_key key = config_table()->keys[index];
    EXPECT_ABORT(set_bad_default, &key);
}
