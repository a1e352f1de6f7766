/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unit/wal/journal_case - the fixture of the journal's tests.
 */
#include "unit/wal/journal_case.h"

#include <stdio.h>

#include "base/limits.h"
#include "io/transfer.h"

#define NS_PER_SECOND UINT64_C(1000000000)

void journal_case_init(struct journal_case *c)
{
    memset(c, 0, sizeof *c);
    c->io = seam_create(&(struct seam_options){0});
    c->loop = seam_loop(c->io, &(struct seam_options){0});
    c->replayed = calloc(CASE_REPLAYED_MAX, sizeof c->replayed[0]);
    assert_non_null(c->replayed);
    static char path[PATH_BYTES_MAX];
    (void)snprintf(path, sizeof path, "%s/0", seam_folder(c->io));
    c->options = (struct wal_options){
        .folder = path,
        .storage_id = {1, 2, 3},
        .shard = 7,
        .may_create = true,
        .file_bytes = CASE_FILE_BYTES,
        .files_max = 4,
        .idle_ns = 3600 * NS_PER_SECOND,
    };
}

void journal_case_deinit(struct journal_case *c)
{
    if (c->wal) {
        journal_case_stop(c);
    }
    seam_drain(c->loop);
    io_loop_destroy(c->loop);
    io_destroy(c->io);
    free(c->replayed);
}

static void replayed_add(struct journal_case *c, const struct wal_replay_entry *got)
{
    assert_true(c->replayed_count < CASE_REPLAYED_MAX);
    struct case_replayed *row = &c->replayed[c->replayed_count++];
    *row = (struct case_replayed){
        .kind = got->entry.kind,
        .offset = got->entry.offset,
        .epoch = got->entry.epoch,
        .number = got->entry.number,
        .payload_bytes = got->entry.parts[0].count,
    };
    size_t count = got->entry.parts[0].count;
    count = count < CASE_TEXT_BYTES_MAX - 1 ? count : CASE_TEXT_BYTES_MAX - 1;
    for (size_t index = 0; index < count && got->entry.parts[0].data[index] != '.'; index++) {
        row->text[index] = (char)got->entry.parts[0].data[index];
    }
}

/* Open the journal and read it to its end; it stays open if it was opened at all. */
static enum pyr_err journal_case_read_all(struct journal_case *c)
{
    assert_null(c->wal);
    c->replayed_count = 0;
    enum pyr_err err = wal_open(c->loop, &c->options, &c->wal, &c->error);
    if (err != PYR_OK) {
        return err;
    }
    struct bytes body = wal_checkpoint_body(c->wal);
    assert_true(body.count < sizeof c->body);
    memset(c->body, 0, sizeof c->body);
    if (body.count > 0) {
        memcpy(c->body, body.data, body.count);
    }
    const struct wal_replay_entry *got = NULL;
    do {
        err = wal_replay_next(c->wal, &got, &c->error);
        if (err == PYR_OK && got) {
            replayed_add(c, got);
        }
    } while (err == PYR_OK && got);
    wal_replay_report(c->wal, &c->report);
    return err;
}

enum pyr_err journal_case_replay(struct journal_case *c)
{
    enum pyr_err err = journal_case_read_all(c);
    wal_destroy(c->wal);
    c->wal = NULL;
    return err;
}

enum pyr_err journal_case_open(struct journal_case *c)
{
    enum pyr_err err = journal_case_read_all(c);
    if (err == PYR_OK) {
        err = wal_start(c->wal, &c->error);
    }
    if (err != PYR_OK) {
        wal_destroy(c->wal);
        c->wal = NULL;
    }
    return err;
}

void journal_case_start(struct journal_case *c)
{
    enum pyr_err err = journal_case_open(c);
    if (err != PYR_OK) {
        print_message("# open: %s\n", c->error.message);
    }
    CHECK_INT(err, PYR_OK);
}

void journal_case_stop(struct journal_case *c)
{
    wal_stop(c->wal);
    while (!wal_is_quiet(c->wal)) {
        io_loop_wait(c->loop, io_now_mono_ns(c->io) + NS_PER_SECOND);
        (void)io_loop_dispatch(c->loop);
    }
    wal_destroy(c->wal);
    c->wal = NULL;
}

enum pyr_err journal_case_try(struct journal_case *c,
                              const char *text,
                              size_t bytes,
                              uint64_t *ret_position)
{
    static uint8_t dots[256 << 10];
    memset(dots, '.', sizeof dots);
    size_t count = strlen(text);
    struct wal_entry entry = {
        .kind = WAL_ENTRY_APPEND,
        .log = {{9}},
        .offset = (int64_t)c->number,
        .epoch = 3,
        .number = c->number,
        .parts = {bytes_of_text(text), {dots, bytes > count ? bytes - count : 0}},
    };
    entry.checked_bytes = (uint32_t)(entry.parts[0].count + entry.parts[1].count);
    struct wal_need need = {WAL_NEED_DURABLE_NOW, 0};
    enum pyr_err err = wal_append(c->wal, &entry, need, ret_position, &c->error);
    c->number += err == PYR_OK ? 1 : 0;
    return err;
}

void journal_case_turn(struct journal_case *c, uint64_t wait_ns)
{
    wal_kick(c->wal);
    io_loop_wait(c->loop, io_now_mono_ns(c->io) + wait_ns);
    (void)io_loop_dispatch(c->loop);
}

uint64_t journal_case_append(struct journal_case *c, const char *text, size_t bytes)
{
    uint64_t position = 0;
    enum pyr_err err = journal_case_try(c, text, bytes, &position);
    while (err == PYR_ERR_BUSY) {
        journal_case_turn(c, NS_PER_SECOND);
        err = journal_case_try(c, text, bytes, &position);
    }
    CHECK_INT(err, PYR_OK);
    return position;
}

void journal_case_wait(struct journal_case *c, uint64_t position)
{
    while (wal_durable_position(c->wal) < position && wal_state(c->wal, NULL) == WAL_STATE_OPEN) {
        journal_case_turn(c, NS_PER_SECOND);
    }
}

void journal_case_durable(struct journal_case *c, const char *text)
{
    journal_case_wait(c, journal_case_append(c, text, 0));
}

void journal_case_settle(struct journal_case *c)
{
    struct wal_usage usage;
    wal_usage(c->wal, &usage);
    while (usage.files_ready < 3 && wal_state(c->wal, NULL) == WAL_STATE_OPEN) {
        journal_case_turn(c, NS_PER_SECOND);
        wal_usage(c->wal, &usage);
    }
}

void journal_case_checkpoint(struct journal_case *c, const char *body, uint64_t position)
{
    CHECK_INT(wal_checkpoint_begin(c->wal, bytes_of_text(body), position, &c->error), PYR_OK);
    while (wal_checkpoint_is_running(c->wal) && wal_state(c->wal, NULL) == WAL_STATE_OPEN) {
        journal_case_turn(c, NS_PER_SECOND);
    }
    CHECK_INT(wal_checkpoint_result(c->wal, &c->error), PYR_OK);
}

/* Copy the file @name; both paths are folders. */
static void file_copy(struct journal_case *c, const char *from, const char *to, const char *name)
{
    char path[2 * PATH_BYTES_MAX];
    (void)snprintf(path, sizeof path, "%s/%s", from, name);
    struct io_file *file = NULL;
    CHECK_INT(io_open(c->io, path, IO_OPEN_READ, &file), 0);
    int64_t bytes = 0;
    CHECK_INT(io_bytes(c->io, file, &bytes), 0);
    uint8_t *data = malloc((size_t)bytes + 1);
    assert_non_null(data);
    size_t count = 0;
    CHECK_INT(io_read_whole(c->io, file, (struct bytes_mut){data, (size_t)bytes}, 0, &count), 0);
    io_close(c->io, file);
    (void)snprintf(path, sizeof path, "%s/%s", to, name);
    CHECK_INT(io_open(c->io, path, IO_OPEN_WRITE | IO_OPEN_CREATE, &file), 0);
    CHECK_INT(io_write_whole(c->io, file, (struct bytes){data, count}, 0, false), 0);
    io_close(c->io, file);
    free(data);
}

void journal_case_copy(struct journal_case *c, const char *from, const char *to)
{
    struct io_entries entries;
    CHECK_INT(io_make_folder(c->io, to), 0);
    CHECK_INT(io_list(c->io, from, &entries), 0);
    for (size_t index = 0; index < entries.count; index++) {
        file_copy(c, from, to, entries.rows[index].name);
    }
    io_entries_free(c->io, &entries);
}

void journal_case_kill(struct journal_case *c)
{
    static char paths[8][PATH_BYTES_MAX];
    static unsigned turn;
    char *to = paths[turn++ % 8];
    (void)snprintf(to, PATH_BYTES_MAX, "%s/killed-%u", seam_folder(c->io), turn);
    seam_drain(c->loop); /* Files are not copied while they are being made. */
    journal_case_copy(c, c->options.folder, to);
    journal_case_stop(c);
    c->options.folder = to;
}

static struct io_file *case_file(struct journal_case *c, const char *name)
{
    char path[2 * PATH_BYTES_MAX];
    (void)snprintf(path, sizeof path, "%s/%s", c->options.folder, name);
    struct io_file *file = NULL;
    CHECK_INT(io_open(c->io, path, IO_OPEN_READ | IO_OPEN_WRITE, &file), 0);
    return file;
}

void journal_case_damage(struct journal_case *c,
                         const char *name,
                         int64_t position,
                         struct bytes bytes)
{
    struct io_file *file = case_file(c, name);
    CHECK_INT(io_write_whole(c->io, file, bytes, position, false), 0);
    io_close(c->io, file);
}

void journal_case_read(struct journal_case *c,
                       const char *name,
                       int64_t position,
                       struct bytes_mut span)
{
    struct io_file *file = case_file(c, name);
    size_t count = 0;
    CHECK_INT(io_read_whole(c->io, file, span, position, &count), 0);
    CHECK_INT(count, span.count);
    io_close(c->io, file);
}

void journal_case_flip(struct journal_case *c, const char *name, int64_t position, unsigned bit)
{
    uint8_t byte = 0;
    journal_case_read(c, name, position, (struct bytes_mut){&byte, 1});
    byte = (uint8_t)(byte ^ (1u << bit));
    journal_case_damage(c, name, position, (struct bytes){&byte, 1});
}

const char *journal_case_texts(const struct journal_case *c)
{
    static char texts[4][CASE_REPLAYED_MAX];
    static unsigned turn;
    char *text = texts[turn++ % 4];
    size_t used = 0;
    text[0] = '\0';
    for (size_t index = 0; index < c->replayed_count; index++) {
        int count = snprintf(text + used, CASE_REPLAYED_MAX - used, index ? " %s" : "%s",
                             c->replayed[index].text);
        used += count > 0 && (size_t)count < CASE_REPLAYED_MAX - used ? (size_t)count : 0;
    }
    return text;
}
