/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An outside judge: a program in another language, written from Kafka's description of the formats
 * alone, reads a folder that we wrote.
 */
#include <stdio.h>
#include <sys/stat.h>

#include "lib/case.h"
#include "log_case.h"
#include "unit/io/seam.h"

/* Run the judge over @folder; return its exit status and its line in @text. */
static int judge(const char *folder, char *text, size_t room)
{
    char command[1024];
    const char *program = getenv("PYRALOG_JUDGE");
    if (!program) {
        case_skip("PYRALOG_JUDGE does not name the program");
    }
    (void)snprintf(command, sizeof command, "python3 '%s' '%s'", program, folder);
    FILE *pipe = popen(command, "r");
    assert_non_null(pipe);
    size_t count = fread(text, 1, room - 1, pipe);
    text[count] = '\0';
    return pclose(pipe);
}

/* Log, indexes and epoch file agree with each other by Kafka's rules; a changed index does not. */
TEST(segment_format, is_kafkas_to_an_outside_judge)
{
    struct io *io = seam_create(&(struct seam_options){0});
    char folder[PATH_BYTES_MAX]; /* Not from the heap: a skipped test returns from anywhere. */
    char index[PATH_BYTES_MAX];
    struct stat stat_of;
    char text[512];
    struct log_case log;
    (void)snprintf(folder, sizeof folder, "%s", seam_path(seam_folder(io), "topic-0"));
    log_case_init(&log, io, folder, 40000);
    if (stat(folder, &stat_of) != 0) {
        io_destroy(io);
        case_skip("this implementation has no real files");
    }
    CHECK_INT(log_case_open(&log), PYR_OK);
    log.value_bytes = 300;
    CHECK_INT(log_case_append(&log, 60), PYR_OK);
    log.epoch = 2;
    log.timestamp_ms = 500; /* A clock that ran back. */
    CHECK_INT(log_case_append(&log, 60), PYR_OK);
    log.timestamp_ms = 90000;
    CHECK_INT(log_case_append(&log, 60), PYR_OK);
    CHECK_INT(log_case_sync(&log), PYR_OK);
    (void)snprintf(index, sizeof index, "%s", log_case_path(&log, 0, SEGMENT_KIND_INDEX));
    log_case_close(&log);

    int status = judge(folder, text, sizeof text);
    print_message("judge: %s", text);
    CHECK_INT(status, 0);
    CHECK(strstr(text, "180 batches"));
    CHECK(strstr(text, "end 540"));
    log_case_poke(io, index, 12, (struct bytes){(const uint8_t *)"\0\0\1", 3});
    CHECK(judge(folder, text, sizeof text) != 0);

    io_destroy(io);
}
