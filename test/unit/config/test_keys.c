/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table: each key with its default, its bounds and the field that it reaches; names that cannot
 * be confused (config/keys.c).
 */
#include <stdio.h>

#include "pyralog.h"

#include "config/config_case.h"
#include "config/override.h"
#include "config/value.h"
#include "lib/case.h"

/* A key, written down a second time by hand. */
struct expected_key {
    const char *path;
    size_t offset;
    const char *initial; /* As a file would have it. */
    const char *least;   /* Allowed. */
    const char *most;    /* Allowed, and not the default. */
    int64_t most_value;
    const char *below; /* Not allowed. */
    const char *above; /* Not allowed. */
};

#define AT(field)                   offsetof(struct config, field)
#define FLAG(initial, other, value) initial, "false", other, value, "1", "yes"

static const struct expected_key expected_keys[] = {
    {"storage.backend", AT(node.backend), "\"auto\"", "posix", "uring", PYR_BACKEND_URING, "",
     "aio"},
    {"storage.must_exist", AT(node.must_exist), FLAG("false", "true", 1)},
    {"storage.shards", AT(node.shards), "0", "0", "64", 64, "-1", "65"},
    {"storage.delete_grace_ms", AT(node.delete_grace_ms), "\"1h\"", "0", "31536000000",
     INT64_C(31536000000), "-1", "31536000001"},
    {"storage.accept_clock_step", AT(node.accept_clock_step), FLAG("false", "true", 1)},
    {"storage.cache_config.enabled", AT(node.cache_enabled), FLAG("true", "false", 0)},
    {"storage.cache_config.max_size", AT(node.cache_max_size), "\"256MiB\"", "64KiB", "1TiB",
     INT64_C(1) << 40, "65535", "9223372036854775808"},
    {"storage.cache_config.max_buffer_time_ms", AT(node.max_buffer_time_ms), "\"1s\"", "0",
     "4294967295", 4294967295, "-1", "4294967296"},
    {"storage.wal.file_bytes", AT(shard.wal_file_bytes), "\"64MiB\"", "64KiB", "1GiB", GIB, "61440",
     "1077936128"},
    {"storage.wal.files_max", AT(shard.wal_files_max), "16", "2", "1024", 1024, "1", "1025"},
    {"storage.scrub.bytes_per_s", AT(node.scrub_bytes_per_s), "\"4MiB\"", "0", "1TiB",
     INT64_C(1) << 40, "1023", "1025GiB"},
    {"storage.scrub.interval_ms", AT(node.scrub_interval_ms), "\"168h\"", "0ms", "31536000000ms",
     INT64_C(31536000000), "-1", "31536000001"},
    {"storage.segment_config.max_size", AT(topic.segment_max_size), "\"1GiB\"", "4KiB",
     "2147483647", 2147483647, "4095", "2GiB"},
    {"storage.segment_config.use_mmap", AT(topic.use_mmap), FLAG("false", "true", 1)},
    {"storage.segment_config.sync_on_write", AT(topic.sync_on_write), FLAG("false", "true", 1)},
    {"replication.quorum.replication_factor", AT(topic.replication_factor), "1", "1", "7", 7, "0",
     "8"},
    {"replication.quorum.write_quorum", AT(topic.write_quorum), "0", "0", "7", 7, "-1", "8"},
    {"replication.quorum.read_quorum", AT(topic.read_quorum), "0", "0", "7", 7, "-1", "8"},
    {"replication.quorum.unclean_election", AT(topic.unclean_election), FLAG("false", "true", 1)},
    {"topics.defaults.sync", AT(topic.sync), "\"always\"", "batch", "os", PYR_SYNC_OS, "none",
     "ALWAYS"},
    {"topics.defaults.sync_interval_ms", AT(topic.sync_interval_ms), "\"5ms\"", "1", "4294967295",
     4294967295, "0", "4294967296"},
    {"topics.defaults.hand_over_at_once", AT(topic.hand_over_at_once), FLAG("false", "true", 1)},
    {"topics.defaults.is_compacted", AT(topic.is_compacted), FLAG("false", "true", 1)},
    {"topics.defaults.compression", AT(topic.compression), "\"none\"", "none", "lz4",
     PYR_COMPRESSION_LZ4, "gzip", "LZ4"},
    {"topics.defaults.segment_max_age_ms", AT(topic.segment_max_age_ms), "\"0ms\"", "0",
     "9223372036854775807", INT64_MAX, "-1", "9223372036854775808"},
    {"topics.defaults.retention_ms", AT(topic.retention_ms), "\"0ms\"", "0", "9223372036854775807",
     INT64_MAX, "-1", "9223372036854775808"},
    {"topics.defaults.retention_bytes", AT(topic.retention_bytes), "\"0B\"", "0",
     "9223372036854775807", INT64_MAX, "-1", "9223372036854775808"},
};

static struct config_case one;

/* Return the value of a field of the type of @key at @offset. */
static int64_t value_at(const struct config_key *key, size_t offset)
{
    const char *field = (const char *)&one.loaded.config + offset;
    if (key->type == CONFIG_TYPE_FLAG) {
        return *(const bool *)field ? 1 : 0;
    }
    if (key->type == CONFIG_TYPE_CHOICE) {
        return *(const uint32_t *)(const void *)field;
    }
    return *(const int64_t *)(const void *)field;
}

/* CFG-1: a key without its line above fails, too. */
TEST(config_keys, each_has_its_default_its_bounds_and_its_field)
{
    CHECK_INT(sizeof expected_keys / sizeof *expected_keys, CONFIG_KEY_COUNT);
    for (size_t index = 0; index < CONFIG_KEY_COUNT; index++) {
        const struct expected_key *expected = &expected_keys[index];
        const struct config_key *key = &config_table()->keys[index];
        char room[64];
        struct text text = text_of(room, sizeof room);
        config_case_begin(&one);

        CHECK_TEXT(key->path, expected->path);
        config_put_value(key, one.target.values, &text);
        CHECK_TEXT(text.data, expected->initial);
        struct config before;
        memcpy(&before, &one.loaded.config, sizeof before);
        CHECK(!config_set_typed(key, one.target.values, expected->below));
        CHECK(!config_set_typed(key, one.target.values, expected->above));
        CHECK_BYTES(&before, &one.loaded.config, sizeof before);
        CHECK(value_at(key, expected->offset) != expected->most_value);
        CHECK(config_set_typed(key, one.target.values, expected->least));
        CHECK(config_set_typed(key, one.target.values, expected->most));
        CHECK(value_at(key, expected->offset) == expected->most_value);
    }
}

/* Two sources of defaults would drift apart. */
TEST(config_keys, have_the_defaults_of_the_embedded_log)
{
    struct pyr_store_options store;
    struct pyr_log_options log;
    pyr_store_options_init(&store);
    pyr_log_options_init(&log);
    config_case_begin(&one);
    const struct config *config = &one.loaded.config;

    CHECK_INT(config->node.backend, store.backend);
    CHECK_INT(config->node.must_exist, store.must_exist);
    CHECK_INT(config->node.shards, store.shards);
    CHECK_INT(config->node.delete_grace_ms, store.delete_grace_ms);
    CHECK_INT(config->node.accept_clock_step, store.accept_clock_step);
    CHECK_INT(config->node.cache_enabled, store.cache_enabled);
    CHECK_INT(config->node.cache_max_size, store.cache_max_size);
    CHECK_INT(config->node.max_buffer_time_ms, store.max_buffer_time_ms);
    CHECK_INT(config->node.scrub_bytes_per_s, store.scrub_bytes_per_s);
    CHECK_INT(config->node.scrub_interval_ms, store.scrub_interval_ms);
    CHECK_INT(config->topic.segment_max_size, log.segment_max_size);
    CHECK_INT(config->topic.use_mmap, log.use_mmap);
    CHECK_INT(config->topic.sync_on_write, log.sync_on_write);
    CHECK_INT(config->topic.sync, log.sync);
    CHECK_INT(config->topic.sync_interval_ms, log.sync_interval_ms);
    CHECK_INT(config->topic.hand_over_at_once, log.hand_over_at_once);
    CHECK_INT(config->topic.is_compacted, log.is_compacted);
    CHECK_INT(config->topic.compression, log.compression);
    CHECK_INT(config->topic.segment_max_age_ms, log.segment_max_age_ms);
    CHECK_INT(config->topic.retention_ms, log.retention_ms);
    CHECK_INT(config->topic.retention_bytes, log.retention_bytes);
}

/* CFG-2: a_b.c and a.b_c would be one variable; a section that is a key could not be written. */
TEST(config_keys, cannot_be_confused)
{
    const struct config_table *table = config_table();
    for (size_t left = 0; left < table->count; left++) {
        char left_room[CONFIG_PATH_BYTES_MAX * 2];
        struct text left_text = text_of(left_room, sizeof left_room);
        config_put_variable(&table->keys[left], &left_text);
        CHECK(strchr(table->keys[left].path, '.') != NULL);
        CHECK(strlen(table->keys[left].path) < CONFIG_PATH_BYTES_MAX);
        CHECK(!config_is_section(table, bytes_of_text(table->keys[left].path)));
        for (size_t right = 0; right < left; right++) {
            char right_room[CONFIG_PATH_BYTES_MAX * 2];
            struct text right_text = text_of(right_room, sizeof right_room);
            config_put_variable(&table->keys[right], &right_text);
            CHECK(strcmp(left_text.data, right_text.data) != 0);
        }
    }
}

/* Check that the keys before the one at @last that begin with the @count letters of @path stand
 * right before it. */
static void check_together(size_t last, const char *path, size_t count)
{
    bool has_left = false;
    for (size_t before = last; before > 0; before--) {
        bool is_in = strncmp(config_table()->keys[before - 1].path, path, count) == 0;
        CHECK(!(is_in && has_left));
        has_left = has_left || !is_in;
    }
}

/* A section that came twice in the table would come twice in the schema. */
TEST(config_keys, of_one_section_stand_together)
{
    for (size_t last = 0; last < CONFIG_KEY_COUNT; last++) {
        const char *path = config_table()->keys[last].path;
        for (const char *dot = strchr(path, '.'); dot; dot = strchr(dot + 1, '.')) {
            check_together(last, path, (size_t)(dot - path) + 1);
        }
    }
}

/* Every sentence of help is one. */
TEST(config_keys, have_a_sentence_of_help)
{
    for (size_t index = 0; index < CONFIG_KEY_COUNT; index++) {
        const char *help = config_table()->keys[index].help;
        CHECK(help[0] >= 'A' && help[0] <= 'Z');
        CHECK(help[strlen(help) - 1] == '.');
    }
}

TEST(config_distance, counts_letters_put_in_left_out_and_changed)
{
    static const struct {
        const char *left;
        const char *right;
        size_t distance;
    } pairs[] = {{"", "", 0},        {"", "abc", 3},          {"abc", "", 3},
                 {"abc", "abc", 0},  {"abc", "abd", 1},       {"abc", "ac", 1},
                 {"abc", "xabc", 1}, {"shards", "shrads", 2}, {"kitten", "sitting", 3}};

    for (size_t index = 0; index < sizeof pairs / sizeof *pairs; index++) {
        CHECK_INT(
            config_distance(bytes_of_text(pairs[index].left), bytes_of_text(pairs[index].right)),
            pairs[index].distance);
    }
}
