/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who wins, what is refused, and what is left to others.
 */
#include "config/config_case.h"
#include "config/override.h"
#include "config/pages.h"
#include "lib/case.h"

static struct config_case one;

static void check_origin(const char *path, const char *expected)
{
    char room[64];
    struct text text = text_of(room, sizeof room);
    size_t index = 0;
    CHECK(config_find(one.target.table, bytes_of_text(path), &index));
    config_put_origin(&one.target, index, &text);
    CHECK_TEXT(text.data, expected);
}

/* File, environment, command line: the later wins, and each value knows its origin. */
TEST(config_override, wins_over_what_came_before)
{
    static const char *const environment[] = {"HOME=/root", "PYRALOG_STORAGE_SHARDS=3",
                                              "PYRALOG_STORAGE_WAL_FILES_MAX=5",
                                              "PYRALOG_STORAGE_CACHE_CONFIG_MAX_SIZE=1MiB", NULL};
    config_case_begin(&one);
    config_case_read(&one, "{\"storage\": {\"shards\": 2, \"must_exist\": true}}");
    config_environment(&one.target, environment, &one.problems);
    config_override(&one.target, "storage.wal.files_max=6", &one.problems);
    config_override(&one.target, "storage.wal.files_max=7", &one.problems);

    config_case_check(&one, NULL);
    CHECK_INT(one.loaded.config.node.shards, 3);
    CHECK_INT(one.loaded.config.shard.wal_files_max, 7);
    CHECK_INT(one.loaded.config.node.cache_max_size, MIB);
    CHECK(one.loaded.config.node.must_exist);
    check_origin("storage.shards", "environment");
    check_origin("storage.wal.files_max", "--set");
    check_origin("storage.must_exist", "c.json:1:41");
    check_origin("storage.backend", "default");
}

/* What `config print` prints. */
TEST(config_put_values, shows_each_value_with_its_origin)
{
    static const char *const environment[] = {"PYRALOG_STORAGE_SHARDS=3", NULL};
    static char room[8192];
    struct text text = text_of(room, sizeof room);
    config_case_begin(&one);
    config_case_read(&one, "{\"storage\": {\"backend\": \"posix\"}}");
    config_environment(&one.target, environment, &one.problems);
    config_override(&one.target, "storage.must_exist=true", &one.problems);
    config_put_values(&one.target, &text);

    static const char first[] = "storage.backend = \"posix\"  (c.json:1:25)\n"
                                "storage.must_exist = true  (--set)\n"
                                "storage.shards = 3  (PYRALOG_STORAGE_SHARDS)\n"
                                "storage.delete_grace_ms = \"1h\"  (default)\n";
    CHECK(!text.is_cut);
    CHECK(strncmp(text.data, first, sizeof first - 1) == 0);
}

/* A misspelt variable that is passed over would be a setting that its user believes in. */
TEST(config_environment, refuses_what_is_wrong_or_unknown_in_its_sections)
{
    static const struct {
        const char *variable;
        const char *problem;
    } cases[] = {
        {"PYRALOG_STORAGE_SHARDS=", "PYRALOG_STORAGE_SHARDS: found ''; allowed: a whole number "
                                    "from 0 to 64"},
        {"PYRALOG_STORAGE_SHARDS=65", "PYRALOG_STORAGE_SHARDS: found '65'; allowed: a whole "
                                      "number from 0 to 64"},
        {"PYRALOG_STORAGE_MUST_EXIST=yes",
         "PYRALOG_STORAGE_MUST_EXIST: found 'yes'; allowed: true or false"},
        {"PYRALOG_STORAGE_SHRADS=1", "PYRALOG_STORAGE_SHRADS: unknown variable; did you mean "
                                     "'PYRALOG_STORAGE_SHARDS'?"},
        {"PYRALOG_TOPICS_X=1", "PYRALOG_TOPICS_X: unknown variable; docs/configuration.md has all "
                               "keys"},
        {"PYRALOG_MUTANT=none", NULL},
        {"PYRALOG_STORAGE=1", NULL},
        {"PYRALOG_STORAGE_SHARDS", NULL},
        {"pyralog_storage_shards=1", NULL},
        {"XPYRALOG_STORAGE_SHARDS=1", NULL},
    };

    for (size_t index = 0; index < sizeof cases / sizeof *cases; index++) {
        const char *const environment[] = {cases[index].variable, NULL};
        config_case_begin(&one);
        config_environment(&one.target, environment, &one.problems);
        config_case_check(&one, cases[index].problem);
        CHECK_INT(one.loaded.config.node.shards, 0);
    }
}

TEST(config_override, refuses_what_is_wrong_or_unknown)
{
    static const struct {
        const char *assignment;
        const char *problem;
    } cases[] = {
        {"storage.shards", "--set: 'storage.shards' has no '='; allowed: key=value"},
        {"", "--set: '' has no '='; allowed: key=value"},
        {"storage.shards=x", "--set: storage.shards: found 'x'; allowed: a whole number from 0 to "
                             "64"},
        {"storage.shards= 1", "--set: storage.shards: found ' 1'; allowed: a whole number from 0 "
                              "to 64"},
        {"storage.shrads=1", "--set: storage.shrads: unknown key; did you mean 'storage.shards'?"},
        {"shards=1", "--set: shards: unknown key; did you mean 'storage.shards'?"},
        {"storage=1", "--set: storage: is a section; allowed: a key of it, as in "
                      "section.key=value"},
        {"tls.key=1", "--set: tls.key: unknown key; docs/configuration.md has all keys"},
        {"=1", "--set: : unknown key; docs/configuration.md has all keys"},
        {"topics.defaults.sync=\"os\"", "--set: topics.defaults.sync: found '\"os\"'; allowed: "
                                        "\"always\", \"batch\" or \"os\""},
    };

    for (size_t index = 0; index < sizeof cases / sizeof *cases; index++) {
        config_case_begin(&one);
        config_override(&one.target, cases[index].assignment, &one.problems);
        config_case_check(&one, cases[index].problem);
        CHECK_INT(one.loaded.config.node.shards, 0);
    }
}
