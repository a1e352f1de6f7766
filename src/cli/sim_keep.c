/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli/sim_keep - lines out, lines in.
 */
#include "cli/sim_keep.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/checksum.h"
#include "base/parse.h"
#include "embed/commit.h"

enum { LINE_BYTES = 16384, NAME_BYTES = 48, PATH_BYTES = 4096, CHUNK_BYTES = 4096 };

#define TITLE "pyralog-sim resume 1"

/* The sums that are one number each. */
#define SUMS(X)     \
    X(counted)      \
    X(repeated)     \
    X(violated)     \
    X(processor_ns) \
    X(wall_ns)      \
    X(virtual_ns)   \
    X(heal_ns_max)

/* -- The build -- */

/* Return a checksum over the program that runs, 0 if it cannot be read. */
static uint32_t program_checksum(void)
{
    uint8_t bytes[CHUNK_BYTES];
    FILE *file = fopen("/proc/self/exe", "re");
    uint32_t crc = 0;
    size_t count = file ? fread(bytes, 1, sizeof bytes, file) : 0;
    while (count > 0) {
        ASSERT(count <= sizeof bytes);
        crc = checksum_crc32c(crc, (struct bytes){bytes, count});
        count = fread(bytes, 1, sizeof bytes, file);
    }
    if (file) {
        (void)fclose(file);
    }
    return crc;
}

void sim_keep_put_build(struct text *text)
{
    static const char commit[] = EMBED_COMMIT;
    bool is_clean = strcmp(commit, "unknown") != 0 && !strchr(commit, '-');
    text_format(text, PYR_VERSION " %s", commit);
    if (!is_clean) {
        text_format(text, " program %08" PRIx32, program_checksum());
    }
    ASSERT(!text->is_cut);
}

/* -- Writing -- */

static void lines_write(const struct sim_keep *keep, const struct sim_tally *tally, FILE *file)
{
    ASSERT(tally->range_count <= tally->range_room);
    (void)fprintf(file, TITLE "\nbuild %s\noptions%s\n", keep->build, keep->wishes);
    for (size_t index = 0; index < tally->range_count; index++) {
        (void)fprintf(file, "done %" PRIu64 " %" PRIu64 "\n", tally->ranges[index].first,
                      tally->ranges[index].last);
    }
    for (size_t index = 0; index < tally->violation_count; index++) {
        (void)fprintf(file, "violated %" PRIu64 " %s\n", tally->violations[index].seed,
                      tally->violations[index].text);
    }
#define X(name) (void)fprintf(file, "sum " #name " %" PRIu64 "\n", tally->name);
    SUMS(X)
#undef X
    for (int count = 0; count < WORLD_COUNT_END; count++) {
        (void)fprintf(file, "count %s %" PRIu64 "\n", world_count_name((enum world_count)count),
                      tally->counts[count]);
    }
    for (int fault = 0; fault < WORLD_FAULT_END; fault++) {
        (void)fprintf(file, "fault %s %" PRIu64 "\n", world_fault_name((enum world_fault)fault),
                      tally->faults[fault]);
    }
    for (int bucket = 0; bucket < SIM_EVENT_BUCKETS; bucket++) {
        if (tally->events[bucket] > 0) {
            (void)fprintf(file, "events %d %" PRIu64 "\n", bucket, tally->events[bucket]);
        }
    }
    (void)fprintf(file, "end\n");
}

enum pyr_err sim_keep_write(const struct sim_keep *keep,
                            const struct sim_tally *tally,
                            struct pyr_error *reterr)
{
    char path[PATH_BYTES];
    struct text name = text_of(path, sizeof path);
    text_format(&name, "%s.new", keep->path);
    if (name.is_cut) {
        return err_set(reterr, PYR_ERR_INVALID, "--resume: the path is too long");
    }
    ASSERT(name.count > 0);
    FILE *file = fopen(path, "we");
    if (!file) {
        return err_set_errno(reterr, errno, "--resume: create '%s'", path);
    }
    lines_write(keep, tally, file);
    bool is_written = fflush(file) == 0 && !ferror(file) && fsync(fileno(file)) == 0;
    int error = errno;
    is_written = fclose(file) == 0 && is_written;
    if (!is_written || rename(path, keep->path) != 0) {
        error = is_written || error == 0 ? errno : error;
        (void)unlink(path);
        return err_set_errno(reterr, error, "--resume: write '%s'", keep->path);
    }
    return PYR_OK;
}

/* -- Reading -- */

/* A file being read. */
struct reader {
    const struct sim_keep *keep;
    struct sim_tally *tally;
    char *rest; /* Of the line, behind the words taken. */
    unsigned line;
    bool has_title;
    bool has_build;
    bool has_options;
    bool has_end;
};

static enum pyr_err damaged(const struct reader *reader, struct pyr_error *reterr)
{
    ASSERT(reader->line > 0);
    return err_set(
        reterr, PYR_ERR_INVALID,
        "--resume: '%s', line %u: this is not what pyralog-sim wrote: remove the file to "
        "begin anew",
        reader->keep->path, reader->line);
}

/* Take the next word of the line, "" if there is none. */
static const char *word_take(struct reader *reader)
{
    char *word = reader->rest;
    size_t count = strcspn(word, " ");
    ASSERT(count < LINE_BYTES);
    reader->rest = word + count + (word[count] == ' ' ? 1 : 0);
    word[count] = '\0';
    return word;
}

static bool number_take(struct reader *reader, uint64_t *ret_number)
{
    int64_t number = 0;
    const struct parse_range range = {0, INT64_MAX};
    if (parse_number(word_take(reader), range, &number, NULL) != PYR_OK) {
        return false;
    }
    ASSERT(number >= 0);
    *ret_number = (uint64_t)number;
    return true;
}

/* Return where the sum called @name stands in @tally, NULL if there is none. */
static uint64_t *sum_find(struct sim_tally *tally, const char *name)
{
    ASSERT(name != NULL);
#define X(field)                     \
    if (strcmp(name, #field) == 0) { \
        return &tally->field;        \
    }
    SUMS(X)
#undef X
    return NULL;
}

static uint64_t *count_find(struct sim_tally *tally, const char *name)
{
    ASSERT(name != NULL);
    for (int count = 0; count < WORLD_COUNT_END; count++) {
        if (strcmp(name, world_count_name((enum world_count)count)) == 0) {
            return &tally->counts[count];
        }
    }
    return NULL;
}

static uint64_t *fault_find(struct sim_tally *tally, const char *name)
{
    ASSERT(name != NULL);
    for (int fault = 0; fault < WORLD_FAULT_END; fault++) {
        if (strcmp(name, world_fault_name((enum world_fault)fault)) == 0) {
            return &tally->faults[fault];
        }
    }
    return NULL;
}

/* Take the rest of a line "done FIRST LAST". */
static bool done_take(struct reader *reader)
{
    struct sim_tally *tally = reader->tally;
    struct sim_range range = {0, 0};
    if (!number_take(reader, &range.first) || !number_take(reader, &range.last) ||
        reader->rest[0] != '\0') {
        return false;
    }
    /* Ascending, as they were written: so none is there twice. */
    bool is_behind =
        tally->range_count == 0 || tally->ranges[tally->range_count - 1].last < range.first;
    if (!is_behind || range.first > range.last) {
        return false;
    }
    sim_tally_mark(tally, range); /* SMP-2 */
    ASSERT(tally->range_count > 0);
    return true;
}

static bool violated_take(struct reader *reader)
{
    uint64_t seed = 0;
    if (!number_take(reader, &seed)) {
        return false;
    }
    ASSERT(reader->rest != NULL);
    sim_tally_violation(reader->tally, seed, reader->rest);
    return true;
}

/* Take the rest of a line that begins with @kind and has a number. */
static bool number_line_take(struct reader *reader, const char *kind)
{
    uint64_t *field = NULL;
    uint64_t bucket = 0;
    if (strcmp(kind, "sum") == 0) {
        field = sum_find(reader->tally, word_take(reader));
    } else if (strcmp(kind, "count") == 0) {
        field = count_find(reader->tally, word_take(reader));
    } else if (strcmp(kind, "fault") == 0) {
        field = fault_find(reader->tally, word_take(reader));
    } else if (strcmp(kind, "events") == 0 && number_take(reader, &bucket) &&
               bucket < SIM_EVENT_BUCKETS) {
        field = &reader->tally->events[bucket];
    }
    ASSERT(reader->rest != NULL);
    return field && number_take(reader, field) && reader->rest[0] == '\0';
}

/* Take a line "build ..." or "options ...", whose rest must be @wanted. */
static enum pyr_err same_take(struct reader *reader,
                              const char *wanted,
                              const char *what,
                              struct pyr_error *reterr)
{
    ASSERT(wanted != NULL);
    if (strcmp(reader->rest, wanted) == 0) {
        return PYR_OK;
    }
    return err_set(reterr, PYR_ERR_INVALID,
                   "--resume: '%s' is of another %s ('%s', this is '%s'), whose seeds do not count "
                   "together with these: use another file",
                   reader->keep->path, what, reader->rest, wanted);
}

static enum pyr_err line_take(struct reader *reader, char *line, struct pyr_error *reterr)
{
    bool is_good = false;
    reader->rest = line;
    reader->line++;
    ASSERT(!strchr(line, '\n'));
    if (reader->has_end) {
        return damaged(reader, reterr);
    }
    if (!reader->has_title) {
        reader->has_title = strcmp(line, TITLE) == 0;
        return reader->has_title ? PYR_OK : damaged(reader, reterr);
    }
    const char *kind = word_take(reader);
    if (!reader->has_build || !reader->has_options) {
        bool is_build = !reader->has_build;
        is_good = strcmp(kind, is_build ? "build" : "options") == 0;
        reader->has_options = reader->has_build;
        reader->has_build = true;
        const char *wishes = reader->keep->wishes + (reader->keep->wishes[0] == ' ' ? 1 : 0);
        return !is_good   ? damaged(reader, reterr)
               : is_build ? same_take(reader, reader->keep->build, "build", reterr)
                          : same_take(reader, wishes, "set of options", reterr);
    }
    if (strcmp(kind, "end") == 0) {
        is_good = true;
        reader->has_end = true;
    } else if (strcmp(kind, "done") == 0) {
        is_good = done_take(reader);
    } else if (strcmp(kind, "violated") == 0) {
        is_good = violated_take(reader);
    } else {
        is_good = number_line_take(reader, kind);
    }
    return is_good ? PYR_OK : damaged(reader, reterr);
}

enum pyr_err sim_keep_read(const struct sim_keep *keep,
                           struct sim_tally *tally,
                           struct pyr_error *reterr)
{
    struct reader reader = {.keep = keep, .tally = tally};
    ASSERT(tally->done == 0);
    FILE *file = fopen(keep->path, "re");
    if (!file) {
        return errno == ENOENT ? PYR_OK
                               : err_set_errno(reterr, errno, "--resume: open '%s'", keep->path);
    }
    char *line = malloc(LINE_BYTES);
    ASSERT(line);
    enum pyr_err err = PYR_OK;
    while (err == PYR_OK && fgets(line, LINE_BYTES, file)) {
        size_t count = strcspn(line, "\n");
        bool is_whole = line[count] == '\n';
        line[count] = '\0';
        err = line_take(&reader, line, reterr);
        if (err == PYR_OK && !is_whole) {
            err = damaged(&reader, reterr);
        }
    }
    if (err == PYR_OK && ferror(file)) {
        err = err_set_errno(reterr, errno, "--resume: read '%s'", keep->path);
    } else if (err == PYR_OK && !reader.has_end) {
        reader.line++;
        err = damaged(&reader, reterr); /* SMP-3 */
    }
    (void)fclose(file);
    free(line);
    return err;
}
