/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim/disk - a virtual disk that knows, of every sector and every name, what would survive a crash.
 *
 * Part of the path:  io.h calls -> sim_io -> [sim_disk] -> crash images
 *
 * A file has two contents: `durable`, what a crash leaves for certain, and `cached`, what reads
 * see. Between them stands the list of what was done and not yet flushed, oldest first:
 *
 *      durable --> [length 8192] [write 0..4095] [write 4096..4607] --> cached     + writes in
 * flight
 *
 * A flush applies the list to `durable` and empties it. A crash applies any part of it: of each
 * unflushed or in-flight sector of 512 bytes the old bytes, the new ones, or (rarely) garbage; of
 * the length changes a first part. A durable write that completed is certain, and with it the
 * length changes before it. Folders work alike: names have a durable and a cached state, and
 * changes (make, remove, rename) between them. A crash keeps any part of the changes in which each
 * name's own order holds; a rename is kept whole or not at all. io_sync of a new file does not make
 * its name durable; only io_sync_folder does.
 *
 * A disk outlives its users: the simulated environment (sim_io.h) borrows one, and after a "crash"
 * a new environment is made on the image. All copies share what is alike (sim_content.h).
 *
 * Recording: from sim_record_start on, each event keeps a snapshot. sim_record_image then makes the
 * disk as one crash after event k would leave it, with a seed choosing what survives; thousands of
 * images a second, since only what is chosen differently is copied.
 *
 * Threads: one.   Memory: plain malloc; running out of it aborts, as the simulator is not under
 * test.
 */
#ifndef SIM_SIM_DISK_H
#define SIM_SIM_DISK_H

#include "base/bytes.h"

struct sim_disk;
struct sim_write;

/* -- For tests -- */

/** Return an empty disk: the folder "/" and no limit of space. Gives: sim_disk_destroy. */
struct sim_disk *sim_disk_create(void);

/** Destroy @disk (NULL does nothing) and its recording. No environment uses it any more. */
void sim_disk_destroy(struct sim_disk *disk);

/** Return a copy of @disk as it is now, unflushed parts included, without recording: keep one to
 * roll back to it. Gives: sim_disk_destroy. */
struct sim_disk *sim_disk_copy(const struct sim_disk *disk);

/* How a crash chooses among what was not flushed. */
enum sim_crash {
    SIM_CRASH_RANDOM, /* One of the others, and mixtures of them, by the seed. */
    SIM_CRASH_NONE,   /* All of it is lost. */
    SIM_CRASH_ALL,    /* All of it survives. */
    SIM_CRASH_DATA,   /* What was written survives, names that were made or changed are lost. */
    SIM_CRASH_NAMES,  /* The other way round. */
    SIM_CRASH_SECTORS /* Each sector by its own coin. */
};

/** Return the disk as a crash of @disk now would leave it. Gives: sim_disk_destroy. */
struct sim_disk *sim_disk_crash(const struct sim_disk *disk, enum sim_crash how, uint64_t seed);

/** Let @disk run full after @blocks more blocks of 4 KiB; UINT64_MAX takes the limit away. */
void sim_disk_set_space(struct sim_disk *disk, uint64_t blocks);

/** Remove everything from @disk, as a new disk in the place of the old one. No file is open. */
void sim_disk_wipe(struct sim_disk *disk);

/** Return the number of files (folders not counted) that have names on @disk. */
size_t sim_disk_file_count(const struct sim_disk *disk);

/** Put the path of file @index, in an order that stays, into @path, and return its length. */
int64_t sim_disk_file(const struct sim_disk *disk, size_t index, struct bytes_mut path);

/** Flip @bit (0 to 7) of the byte at @position of the file at @path, durably and unnoticed. Return
 * false if there is no such byte. */
bool sim_disk_flip(struct sim_disk *disk, const char *path, int64_t position, uint32_t bit);

/** Cut the file at @path to @bytes, durably and unnoticed. Return false if there is no such file.
 */
bool sim_disk_cut(struct sim_disk *disk, const char *path, int64_t bytes);

/** Put @span at @position of the file at @path, durably and unnoticed. Return false if there is no
 * such file. */
bool sim_disk_poke(struct sim_disk *disk, const char *path, int64_t position, struct bytes span);

/** Return whether the file at @path has changes that a crash may take back. */
bool sim_disk_is_dirty(const struct sim_disk *disk, const char *path);

/* -- Recording -- */

/** Keep a snapshot now (event 0) and after each event from now on. */
void sim_record_start(struct sim_disk *disk);

/** Stop keeping snapshots; those kept stay until sim_disk_destroy. */
void sim_record_stop(struct sim_disk *disk);

/** Note @mark (say: how many appends were acknowledged so far) for the present event and those that
 * follow: a crash after event k finds the last mark set before event k + 1. */
void sim_record_mark(struct sim_disk *disk, uint64_t mark);

/** Return the number of snapshots. */
size_t sim_record_count(const struct sim_disk *disk);

/** Return the disk as a crash between event @index and the next would leave it, and the mark of
 * that moment. Gives: sim_disk_destroy. */
struct sim_disk *sim_record_image(const struct sim_disk *disk,
                                  size_t index,
                                  enum sim_crash how,
                                  uint64_t seed,
                                  uint64_t *ret_mark);

/** Return a short text of what event @index was: "write 'wal/0' 4096+8192 durable". Borrows. */
const char *sim_record_text(const struct sim_disk *disk, size_t index);

/* -- For sim_io: errors are errno values; a file is known by its number -- */

#define SIM_NO_FILE UINT32_MAX

int disk_find(const struct sim_disk *disk, const char *path, uint32_t *ret_number);
int disk_make(struct sim_disk *disk, const char *path, bool is_folder, uint32_t *ret_number);
int disk_rename(struct sim_disk *disk, const char *from, const char *to);
int disk_remove(struct sim_disk *disk, const char *path);
int disk_sync_folder(struct sim_disk *disk, const char *path);
bool disk_is_folder(const struct sim_disk *disk, uint32_t number);
int64_t disk_bytes(const struct sim_disk *disk, uint32_t number);

/** Return the name with number @index in folder @number, or NULL, and its file's number. */
const char *disk_name(const struct sim_disk *disk,
                      uint32_t number,
                      size_t index,
                      uint32_t *ret_number);

/** Note that one more, or one less, handle has file @number open. */
void disk_open(struct sim_disk *disk, uint32_t number);
void disk_close(struct sim_disk *disk, uint32_t number);

/** Take or give back the lock of file @number; false if it is taken. */
bool disk_lock(struct sim_disk *disk, uint32_t number);
void disk_unlock(struct sim_disk *disk, uint32_t number);

size_t disk_read(const struct sim_disk *disk,
                 uint32_t number,
                 int64_t position,
                 struct bytes_mut span);

/** Read past the page cache: without what a failed sync forgot. */
size_t disk_read_direct(const struct sim_disk *disk,
                        uint32_t number,
                        int64_t position,
                        struct bytes_mut span);

/** Return how many of @count bytes at @position there is space for. */
size_t disk_room(const struct sim_disk *disk, uint32_t number, int64_t position, size_t count);
uint64_t disk_blocks_free(const struct sim_disk *disk);

/** Put a write in flight. It is given to disk_write_end. */
struct sim_write *disk_write_begin(struct sim_disk *disk,
                                   uint32_t number,
                                   int64_t position,
                                   struct bytes span,
                                   bool is_durable);

/** End a write of which the first @count bytes reached the disk: 0 is a write that was lost. Takes
 * @write. */
void disk_write_end(struct sim_disk *disk, uint32_t number, struct sim_write *write, size_t count);

/** Return whether @data still holds what it held when @write began. */
bool disk_write_holds(const struct sim_write *write, const uint8_t *data);

/** Return the point up to which a sync that starts now covers the writes of file @number. */
uint64_t disk_sync_begin(const struct sim_disk *disk, uint32_t number);

/** End the sync: what it covers becomes durable, or, if @is_lost, is forgotten while reads still
 * see it, as after a failed flush. */
void disk_sync_end(struct sim_disk *disk, uint32_t number, uint64_t point, bool is_lost);

void disk_set_bytes(struct sim_disk *disk, uint32_t number, int64_t bytes);
void disk_reserve(struct sim_disk *disk, uint32_t number, int64_t bytes);

#endif /* SIM_SIM_DISK_H */
