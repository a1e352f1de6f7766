/* SPDX-License-Identifier: Apache-2.0 */
/*
 * io/io - the seam: the one table of operations between the engine and the world.
 *
 * Part of the path:  wal, segment, partition -> [io] -> kernel, or the simulator's disk and clock
 *
 * Nothing above this room touches a file, a clock, a thread, the heap or a random number but
 * through here. The table (struct io_ops in io/ops.h) has three implementations: `posix` (threads
 * with pwritev2), `uring` (io_uring) and `sim` (test/sim: a virtual disk and clock driven by a
 * seed). There are two kinds of calls:
 *
 * - on a loop: io_submit() of read, write and sync; timers; mailboxes; jobs. Nothing blocks, and
 *   completions are delivered by io_loop_dispatch(). The hot path uses only these.
 * - blocking: io_open() and the rest that names a path or changes a file's shape. For start, close,
 *   and for the inside of a job: a piece of background work that runs on a pool thread, in the
 *   simulator as one event. Cold paths are so written as straight lines.
 *
 *      owner thread                        pool                      kernel
 *      io_submit(op)  ------------------------------------------------>  write
 *      io_job_start(job) -------------->  job->run()  -- io_write_at -->
 *      io_loop_wait(deadline)   <---- completions, timers, wake-ups ---
 *      io_loop_dispatch()  -> op->complete(op), timer->fire(timer), job->done(job)
 *
 * Errors are errno values (0 is success) and are never swallowed. A transfer may be short:
 * `count_done` says how much; io/transfer resumes it.
 *
 * Invariants:
 *   IO-1  every submitted op completes exactly once, and only inside io_loop_dispatch()
 *   IO-2  a write marked durable reports success only after its bytes are on stable storage
 *   IO-3  completion order is not submission order; nothing may rely on it
 *   IO-4  a failed sync or durable write is reported once and never retried here
 *   IO-9  all memory that io_alloc gave is given back before the environment is destroyed
 *
 * Threads: io_submit, timers, jobs and io_loop_dispatch belong to the loop's owner (one thread at a
 * time; a lock above may hand ownership on). io_loop_wait may run without that lock, by one thread
 * at a time. io_loop_wake and io_mailbox_post: any thread. Blocking calls: any thread.
 */
#ifndef IO_IO_H
#define IO_IO_H

#include "base/bytes.h"
#include "base/err.h"

struct io;
struct io_file;
struct io_loop;

#define IO_TIME_NEVER UINT64_MAX

/* The large page of most hosts; an alignment that asks io_alloc_raw for such pages. */
#define IO_LARGE_PAGE_BYTES ((size_t)2 << 20)

/* The longest text of io_describe, with its closing zero. */
#define IO_DESCRIPTION_BYTES_MAX 96

/* -- The environment -- */

enum io_backend {
    IO_BACKEND_AUTO,  /* uring where the host allows it, else posix. */
    IO_BACKEND_POSIX, /* Worker threads with preadv2 and pwritev2. */
    IO_BACKEND_URING, /* One io_uring per loop. */
};

struct io_options {
    enum io_backend backend;
    uint32_t job_threads; /* Threads for jobs; 0 means 1. */
    uint64_t seed;        /* Seed of io_random_seed(); 0 draws one from the system. */
    bool without_direct; /* Refuse O_DIRECT, as some file systems do; for tests of the fall-back. */
    bool without_dsync;  /* Refuse RWF_DSYNC, likewise: durable writes become write + fdatasync. */
    uint32_t block_bytes; /* Claim this physical block in io_stat, for tests; 0 asks the device. */
};

/**
 * Create the environment that stands for this process's kernel.
 *
 * Fails with PYR_ERR_UNSUPPORTED if @options asks for uring and the host refuses it. Gives:
 * io_destroy.
 */
MUST_CHECK enum pyr_err io_create(const struct io_options *options,
                                  struct io **ret_io,
                                  struct pyr_error *reterr);

/** Destroy @io (NULL does nothing). All loops and files are closed before. */
void io_destroy(struct io *io);

/** Return the backend in use and, if it is a fall-back, why: "uring", "posix (io_uring: not
 * permitted)", "sim". */
const char *io_describe(const struct io *io);

/* -- Memory, time, randomness -- */

/** Return @count zeroed bytes at @alignment (a power of two), or NULL. Gives: io_free. Any thread.
 */
void *io_alloc(struct io *io, size_t count, size_t alignment);

/** Return @count bytes as io_alloc does, but of any content: for large buffers whose every byte is
 * written before it is read. At an alignment of IO_LARGE_PAGE_BYTES it is made of large pages where
 * the host has them, which are touched first, and moved to and from the device, at a fraction of
 * the cost. Gives: io_free. Any thread. */
void *io_alloc_raw(struct io *io, size_t count, size_t alignment);

/** Free what io_alloc gave (NULL does nothing). Any thread. */
void io_free(struct io *io, void *memory);

/** Return nanoseconds of the monotonic clock. Any thread. */
uint64_t io_now_mono_ns(struct io *io);

/** Return milliseconds of the wall clock since 1970; for record timestamps and the log's clock
 * only. */
int64_t io_now_wall_ms(struct io *io);

/** Return a fresh 64-bit seed for one subsystem's generator (base/prng). */
uint64_t io_random_seed(struct io *io);

/* -- Files, blocking --
 *
 * Each returns 0 or an errno value. Any thread may call them; none belongs on the hot path.
 */

enum io_open_flag {
    IO_OPEN_READ = 1 << 0,
    IO_OPEN_WRITE = 1 << 1,
    IO_OPEN_CREATE = 1 << 2,    /* Make it if it is missing, with mode 0600 whatever the umask. */
    IO_OPEN_EXCLUSIVE = 1 << 3, /* With CREATE: fail with EEXIST if it is there. */
    IO_OPEN_DIRECT = 1 << 4,    /* Past the page cache; EINVAL where the file system cannot. Memory,
                                   positions    and counts are then multiples of BLOCK_BYTES. */
};

enum io_kind {
    IO_KIND_FILE,
    IO_KIND_FOLDER,
    IO_KIND_OTHER,
};

struct io_stat {
    enum io_kind kind;
    int64_t bytes;
    uint32_t mode;        /* Permission bits. */
    uint32_t block_bytes; /* Physical block of the device below; BLOCK_BYTES where unknown. */
    bool is_own;          /* Owned by the effective user. */
};

struct io_entry {
    char name[256];
    enum io_kind kind;
};

/* A folder's entries, sorted by name, without "." and "..". */
struct io_entries {
    struct io_entry *rows; /* Released by io_entries_free. */
    size_t count;
};

/** Open the file at @path with io_open_flag bits. Gives: io_close. */
MUST_CHECK int io_open(struct io *io, const char *path, uint32_t flags, struct io_file **ret_file);

/** Close @file (NULL does nothing). No operation on it is in flight. */
void io_close(struct io *io, struct io_file *file);

/** Read into @span at @position. *@ret_count is short at the file's end, and may be short
 * elsewhere. */
MUST_CHECK int io_read_at(struct io *io,
                          struct io_file *file,
                          struct bytes_mut span,
                          int64_t position,
                          size_t *ret_count);

/** Write @span at @position, durably if @is_durable (IO-2). *@ret_count may be short. */
MUST_CHECK int io_write_at(struct io *io,
                           struct io_file *file,
                           struct bytes span,
                           int64_t position,
                           bool is_durable,
                           size_t *ret_count);

/** Put all of @file's written bytes, and its length, on stable storage. Never retried (IO-4). */
MUST_CHECK int io_sync(struct io *io, struct io_file *file);

/** Reserve space for @file up to @bytes, so that writes below it cannot meet a full disk; its
 * length becomes at least @bytes. EOPNOTSUPP where the file system cannot. */
MUST_CHECK int io_allocate(struct io *io, struct io_file *file, int64_t bytes);

/** Set @file's length. */
MUST_CHECK int io_truncate(struct io *io, struct io_file *file, int64_t bytes);

/** Return @file's length. */
MUST_CHECK int io_bytes(struct io *io, struct io_file *file, int64_t *ret_bytes);

/** Map @count bytes of @file from 0 for reading. Gives: io_unmap. */
MUST_CHECK int io_map(struct io *io, struct io_file *file, size_t count, const uint8_t **ret_data);

/** Undo io_map. */
void io_unmap(struct io *io, const uint8_t *data, size_t count);

/** Return whether all of @span of a mapping is in memory, so that touching it does not wait for the
 * disk. */
bool io_map_is_resident(struct io *io, struct bytes span);

/** Rename @from to @to, replacing it. Durable only after io_sync_folder of the folder. */
MUST_CHECK int io_rename(struct io *io, const char *from, const char *to);

/** Remove the file, or the empty folder, at @path. */
MUST_CHECK int io_remove(struct io *io, const char *path);

/** Make the folder @path with mode 0700 whatever the umask. */
MUST_CHECK int io_make_folder(struct io *io, const char *path);

/** Put the entries of the folder @path on stable storage. */
MUST_CHECK int io_sync_folder(struct io *io, const char *path);

/** List the folder @path. Gives: io_entries_free. */
MUST_CHECK int io_list(struct io *io, const char *path, struct io_entries *ret_entries);

/** Release what io_list gave. */
void io_entries_free(struct io *io, struct io_entries *entries);

/** Describe what stands at @path. */
MUST_CHECK int io_stat(struct io *io, const char *path, struct io_stat *ret_stat);

/** Return the free bytes of the file system at @path. */
MUST_CHECK int io_space(struct io *io, const char *path, uint64_t *ret_bytes);

/** Take the lock file at @path for this handle, for as long as it is open: EWOULDBLOCK if another
 * process or another handle of this one has it, with its process id in *@ret_holder (0 if unknown).
 * Gives: io_close. */
MUST_CHECK int io_lock(struct io *io,
                       const char *path,
                       int64_t *ret_holder,
                       struct io_file **ret_file);

/* -- Loops -- */

enum io_op_kind {
    IO_OP_READ,
    IO_OP_WRITE,
    IO_OP_SYNC,
};

/* One operation in flight. The submitter owns the memory, and the buffer stays pinned, until
 * complete() is called. */
struct io_op {
    enum io_op_kind kind;
    bool is_durable;      /* IO_OP_WRITE: see IO-2. */
    struct io_file *file; /* Stays open until completion. */
    uint8_t *
        data; /* Aligned to BLOCK_BYTES if the file is open for direct I/O. Read only for writes. */
    size_t count;      /* Bytes wanted. */
    int64_t position;  /* Where in the file. */
    int error;         /* Result: 0 or an errno value. */
    size_t count_done; /* Result: bytes moved; may be short with error 0. */
    void (*complete)(struct io_op *op);
    void *ctx;            /* For the submitter. */
    struct io_op *next;   /* For the loop. */
    uint64_t reserved[6]; /* For the backend. */
};

/* One alarm. Before its first start: zeroed but for fire and ctx. It may move only while stopped.
 */
struct io_timer {
    uint64_t deadline_ns; /* Valid while is_started. */
    void (*fire)(struct io_timer *timer);
    void *ctx;
    bool is_started;
    uint64_t order;         /* For the loop, like the rest: timers of one deadline fire in the order
                               in which they were started. */
    struct io_timer *child; /* Pairing heap: first child, next sibling, parent or left sibling. */
    struct io_timer *sibling;
    struct io_timer *back;
};

/* Background work: run() on a pool thread (it may block), then done() on the loop. */
struct io_job {
    void (*run)(struct io_job *job);
    void (*done)(struct io_job *job);
    void *ctx;
    struct io_loop *loop;
    struct io_job *next; /* For the pool. */
};

struct io_loop_options {
    uint32_t ops_max; /* The most operations in flight; io_submit past it waits in the loop's own
                         list. */
    bool helps_while_waiting; /* posix: io_loop_wait may carry out a queued operation itself, in the
                                 waiting thread, instead of leaving it to a worker: two thread hops
                                 less. */
};

/** Create a loop. Gives: io_loop_destroy. */
MUST_CHECK int io_loop_create(struct io *io,
                              const struct io_loop_options *options,
                              struct io_loop **ret_loop);

/** Destroy @loop (NULL does nothing). Nothing is in flight on it. */
void io_loop_destroy(struct io_loop *loop);

/** Return the environment of @loop. */
struct io *io_loop_io(struct io_loop *loop);

/** Queue @op, which the loop keeps until complete() is called. It may start now or at the next
 * io_loop_flush or io_loop_wait; while another thread is inside io_loop_wait it starts now. */
void io_submit(struct io_loop *loop, struct io_op *op);

/** Hand all queued operations to the kernel now, without waiting. */
void io_loop_flush(struct io_loop *loop);

/** Wait until something can be dispatched, a wake-up arrived or @deadline_ns of the monotonic clock
 * passed. Starts queued operations. Timers count: it wakes for the earliest. It may also return
 * early, and, where it helps, late by the one operation that it carries out. */
void io_loop_wait(struct io_loop *loop, uint64_t deadline_ns);

/** Deliver completions, due timers, posted mail and finished jobs. Return how many things were
 * delivered. */
size_t io_loop_dispatch(struct io_loop *loop);

/** Make the current or the next io_loop_wait return. Any thread; async-signal-safe. */
void io_loop_wake(struct io_loop *loop);

/** Return when the earliest started timer is due, or IO_TIME_NEVER. Any thread. */
uint64_t io_loop_timer_ns(const struct io_loop *loop);

/** Return the number of operations and jobs that have not completed. */
size_t io_loop_pending(const struct io_loop *loop);

/** Start @timer, or move it, to fire at @deadline_ns of the monotonic clock. */
void io_timer_start(struct io_loop *loop, struct io_timer *timer, uint64_t deadline_ns);

/** Stop @timer; it does not fire. Stopping an idle one does nothing. */
void io_timer_stop(struct io_loop *loop, struct io_timer *timer);

/** Start @job on the pool. */
void io_job_start(struct io_loop *loop, struct io_job *job);

#endif /* IO_IO_H */
