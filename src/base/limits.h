/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/limits - every limit of the system, each with its reason.
 *
 * A number that bounds a queue, a buffer, a file or a request stands here and nowhere else, so that
 * a reader can answer "how large can it get?" on one page.
 */
#ifndef BASE_LIMITS_H
#define BASE_LIMITS_H

#include <stdint.h>

#include "base/assert.h"

#define KIB (INT64_C(1) << 10)
#define MIB (INT64_C(1) << 20)
#define GIB (INT64_C(1) << 30)

/* Direct I/O and torn writes are reckoned in blocks of this size: the page, and the largest
 * physical sector of common devices. A device with a larger one is refused by name. */
#define BLOCK_BYTES 4096

/* Devices write at least this much at once without tearing it; the simulated disk tears here. */
#define SECTOR_BYTES 512

/* The largest record batch, compressed or not. Kafka's default is 1 MiB; ours leaves room for large
 * records and still bounds every buffer. */
#define BATCH_BYTES_MAX (16 * MIB)

/* The most a compressed batch may unpack to: the same bound, so that a bomb is refused. */
#define BATCH_UNPACKED_BYTES_MAX (64 * MIB)

/* The largest segment file: positions in Kafka's index are signed 32-bit. */
#define SEGMENT_BYTES_MAX (2 * GIB - 1)

/* -- Segments -- */

/* Bytes of batches between two entries of a segment's index: Kafka's index.interval.bytes. */
#define SEGMENT_INDEX_INTERVAL_BYTES 4096

/* Offsets between the digest points that replicas compare. */
#define SEGMENT_STRIDE_OFFSETS INT64_C(65536)

/* Segments that one sync cuts to size and puts on stable storage, besides the one written to.
 * Bounds the job; what is left waits for the next. */
#define SEGMENT_SYNC_SEGMENTS_MAX 9

/* Epochs that may begin within one append to a segment. An append stops there and takes a prefix.
 */
#define SEGMENT_APPEND_EPOCHS_MAX 8

/* Small parts of an append are gathered into writes of this size. */
#define SEGMENT_GATHER_BYTES (256 * KIB)

/* An append that begins with a batch of at least the first of these is written past the page
 * cache, out of a buffer of the second: the device takes larger writes no faster, and they hold up
 * the journal's. */
#define SEGMENT_DIRECT_BATCH_BYTES  (64 * KIB)
#define SEGMENT_DIRECT_BUFFER_BYTES (1 * MIB)

/* Buffers for that, kept for reuse. */
#define SEGMENT_DIRECT_BUFFERS_MAX 2

/* Points and index entries that an append holds before it writes them. */
#define SEGMENT_POINTS_BUFFERED 128

/* A file being written grows by doubling, from the first of these and by at most the second: few
 * extents for a busy partition, little waste for a quiet one. */
#define SEGMENT_ALLOCATE_BYTES_MIN (256 * KIB)
#define SEGMENT_ALLOCATE_BYTES_MAX (64 * MIB)

/* Segments that one removal takes. What is left waits for the next. */
#define SEGMENT_REMOVE_MAX 64

/* Segments that one group of a compaction joins: each is two open files. */
#define SEGMENT_COMPACT_INPUTS_MAX 16

/* Findings of an offline verification that are told one by one; all are counted. */
#define SEGMENT_FINDINGS_MAX 32

/* What compaction and searches read at once; more if a batch needs it. */
#define SEGMENT_READ_BYTES (1 * MIB)

/* The most rows of an epoch table: one per change of leadership that wrote something. */
#define SEGMENT_EPOCHS_MAX 65536

/* A topic's name, as in Kafka. */
#define TOPIC_NAME_BYTES_MAX 249

/* A log's name is "<topic>-<partition>", with its closing zero. */
#define LOG_NAME_BYTES_MAX (TOPIC_NAME_BYTES_MAX + 12)

/* The longest path that we build, with its closing zero. */
#define PATH_BYTES_MAX 1024

/* The longest path of a data folder: leaves room for a topic's name and a segment's. */
#define FOLDER_PATH_BYTES_MAX 640

/* The batches per producer and partition whose sequence numbers are remembered: Kafka's clients
 * need five, a native producer has at most this many in flight. */
#define PRODUCER_BATCHES_REMEMBERED 16

/* A producer that was idle for so long by the log's clock is forgotten: Kafka's
 * producer.id.expiration.ms. */
#define PRODUCER_EXPIRY_MS INT64_C(86400000)

/* Producers that are known of one log: most logs have a few, and of those that have thousands only
 * the longest idle is lost. Rows are half a KiB each and begin with the first of these. */
#define FOLD_PRODUCERS_FIRST 4
#define FOLD_PRODUCERS_MAX   4096

/* Steps of a log's fold that can be taken back, one a batch that is not committed: at first, at the
 * most, and what is kept when all is committed. Beyond the most a cut makes it fold anew. */
#define FOLD_UNDOS_FIRST 8U
#define FOLD_UNDOS_MAX   65536U
#define FOLD_UNDOS_KEPT  256U

/* A log's fold is saved after so many bytes of batches, which is what a start reads at most behind
 * it; a stop saves it after this share of them. What is read at once; and how soon a fold that
 * failed is tried again, and how often that time doubles: each try reads the log. */
#define FOLD_SAVE_BYTES      ((uint64_t)(16 * MIB))
#define FOLD_SAVE_STOP_SHARE 16
#define FOLD_READ_BYTES      ((size_t)(256 * KIB))
#define FOLD_RETRY_NS        UINT64_C(1000000000)
#define FOLD_RETRY_DOUBLINGS 10

/* The most operations in flight on one loop: the kernel's ring is sized by it. */
#define IO_OPS_MAX 4096

/* Threads that carry out one loop's operations in the posix backend: a few writes and reads at
 * once keep a disk busy, more only fight for it. */
#define IO_WORKERS_MAX 4

/* Threads for jobs: background work is bound by the disk, not by the number of cores. */
#define IO_JOB_THREADS_MAX 16

/* Letters that one mailbox can hold. */
#define IO_MAILBOX_LETTERS_MAX (1 << 20)

/* One journal file. 64 MiB rolls seldom and is zero-filled in a tenth of a second; the least leaves
 * room for a few flushes, so that tests roll often; positions inside a file are 32-bit. */
#define WAL_FILE_BYTES_DEFAULT (64 * MIB)
#define WAL_FILE_BYTES_MIN     (64 * KIB)
#define WAL_FILE_BYTES_MAX     (1 * GIB)

/* Journal files for data. The default bounds replay and disk to 1 GiB; the most keeps their table
 * small. The least is one to write and one to free. */
#define WAL_FILES_DEFAULT 16
#define WAL_FILES_MIN     2
#define WAL_FILES_MAX     1024

/* Files beyond those, for entries of state: one may be left by a roll, the other takes the mark
 * that frees a file. */
#define WAL_FILES_RESERVED 2

/* Flushes in flight. Two keep a device busy while the next gathers. */
#define WAL_DEPTH_DEFAULT 2
#define WAL_DEPTH_MAX     16

/* Buffers that gather: those in flight, one that gathers, and some queued between. */
#define WAL_GATHER_DEFAULT 8
#define WAL_GATHER_MAX     64

/* A flush that reached this goes: past 1 MiB a device gains little from larger writes. */
#define WAL_FLUSH_BYTES_TARGET_DEFAULT (1 * MIB)

/* Entries gathered under the policy os are handed to the kernel past this many bytes. */
#define WAL_WRITTEN_BYTES_MAX (256 * KIB)

/* Entries of state in one flush, which the next one repeats. */
#define WAL_STATE_ENTRIES_MAX 64

/* A journal that was idle for this long gets an empty flush, so that its tail is covered. */
#define WAL_IDLE_MS_DEFAULT 10

/* The body of a checkpoint: a few hundred bytes for each of 100,000 partitions. */
#define WAL_CHECKPOINT_BYTES_MAX (64 * MIB)

/* The pieces of the write cache: small for quiet partitions, doubling up to what makes a good
 * write, and half of a large page (io/io.h). */
#define CACHE_CHUNK_BYTES_MIN ((size_t)(16 * KIB))
#define CACHE_CHUNK_BYTES_MAX ((size_t)(1 * MIB))

/* What the large ones are cut from, and the largest for batches above CACHE_CHUNK_BYTES_MAX: of
 * those of little more than 1 MiB it holds seven, so that an eighth is lost and not a half. */
#define CACHE_ARENA_BYTES_MAX ((size_t)(8 * MIB))

/* A small cache is cut into so many pieces at least, so that one log does not take it all at once.
 */
#define CACHE_CHUNKS_MIN 8

/* Memory for a batch that fits no arena is a multiple of this, so that batches of about one size
 * find the memory of those before them. */
#define CACHE_CHUNK_LARGE_STEP_BYTES ((size_t)(64 * KIB))

/* Memory of large chunks kept for reuse, so that what is hot is not given back and touched anew. */
#define CACHE_FREE_BYTES_MAX ((uint64_t)(64 * MIB))

/* Appends of one shard that wait for the journal. Each is one batch; past it an append waits. */
#define SHARD_PENDING_MAX 65536

/* A log's unwritten bytes are written to its segment once they are worth one write; a single write
 * takes at most so many bytes, in at most so many pieces. */
#define FLUSH_BYTES_TARGET ((size_t)(1 * MIB))
#define FLUSH_BYTES_MAX    ((size_t)(8 * MIB))
#define FLUSH_PARTS_MAX    32

/* Such a write gives way to the journal until no append came for so long, or until so large a share
 * of the cache is unwritten. */
#define FLUSH_QUIET_NS        UINT64_C(5000000)
#define FLUSH_GIVES_WAY_SHARE 4

/* Pieces of background work of one shard at a time. */
#define SHARD_WORKS_MAX 8

/* Logs that a checkpoint looks at beyond the first that is behind, to keep all slots busy. */
#define CHECKPOINT_LOOK_AHEAD 64

/* Open segments of one shard, two files each: a thousand logs work under a limit of 256 files. */
#define SHARD_SEGMENT_HANDLES_MAX 64

/* An epoch is a round times this, plus the node that leads it. Epochs are signed 32-bit in Kafka's
 * batches, which leaves two million rounds: at an election a minute, four years of them. */
#define EPOCH_NODES         1024
#define EPOCH_NODE_EMBEDDED 1
#define EPOCH_ROUNDS_MAX    ((INT32_MAX / EPOCH_NODES) - 1)

/* A round further above the receiver's than this is refused: failed elections back off, so nobody
 * misses so many, and one wrong number must not use up the range. Past half of the range a node
 * raises an alarm. */
#define EPOCH_ROUNDS_AHEAD_MAX 65536
#define EPOCH_ROUND_ALARM      (EPOCH_ROUNDS_MAX / 2)

/* Voters of one configuration, the bound of every table by voter: nine survive the loss of four,
 * and each more only makes every commit slower. A joint configuration has two of them. Learners
 * catch up before a change; a change replaces no more than all voters. */
#define QUORUM_VOTERS_MAX         9
#define QUORUM_CONFIGURATIONS_MAX 2
#define QUORUM_MEMBERS_MAX        (QUORUM_CONFIGURATIONS_MAX * QUORUM_VOTERS_MAX)
#define QUORUM_LEARNERS_MAX       QUORUM_VOTERS_MAX

/* What a leader has on its way to one follower: so many messages, and batches of so many bytes, but
 * for the last one. */
#define REPLICA_FLIGHTS_MAX  16
#define REPLICA_WINDOW_BYTES ((uint64_t)(8 * MIB))

/* What is not committed can only be in memory and in the journal, and a checkpoint carries it on:
 * so much of all, as a share of the cache and at most, and of one log, as a share of that; a
 * follower's log so many times as much, or it could not take what its leader has. */
#define UNCOMMITTED_SHARE          2
#define UNCOMMITTED_LOG_SHARE      2
#define UNCOMMITTED_FOLLOWER_SLACK 2
#define UNCOMMITTED_BYTES_MAX      ((uint64_t)(32 * MIB))
ASSERT_STATIC(3 * UNCOMMITTED_BYTES_MAX / 2 <= WAL_CHECKPOINT_BYTES_MAX, "it fits a checkpoint");

/* The embedded log's defaults, and what its options may be. */
#define CACHE_BYTES_DEFAULT      ((uint64_t)(256 * MIB))
#define CACHE_BYTES_MIN          ((uint64_t)(64 * KIB))
#define BUFFER_TIME_MS_DEFAULT   1000
#define SYNC_INTERVAL_MS_DEFAULT 5
#define SEGMENT_BYTES_DEFAULT    ((uint64_t)(1 * GIB))
#define SEGMENT_BYTES_MIN        ((uint64_t)(4 * KIB))

/* Shards of an embedded store: each has a journal of some files and 30 MiB of buffers, and one
 * thread at a time turns them all. */
#define STORE_SHARDS_MAX 64

/* Operations in flight on an embedded store's loop. */
#define STORE_OPS_MAX 256

/* Records that gather in one batch: more makes better reading, less makes earlier sealing. */
#define GATHER_BYTES_MAX ((size_t)(64 * KIB))

/* Headers of one record, and what each takes beside its bytes: two varints of at most five bytes.
 */
#define RECORD_HEADERS_MAX           64
#define RECORD_HEADER_OVERHEAD_BYTES 10

/* What a reader asks a segment for at a time: little where it was just placed, and so many times
 * more with each read that goes on there, up to a bound. */
#define READ_BYTES_FIRST   ((size_t)(4 * KIB))
#define READ_BYTES_GROWTH  4
#define READ_BYTES_DEFAULT ((size_t)(1 * MIB))

/* While a store is at work its keeper looks in this often; who waits for room looks again this
 * often. */
#define KEEPER_NAP_NS UINT64_C(1000000)
#define ROOM_RETRY_NS UINT64_C(20000000)

/* On a full disk the close of a log waits this long for space. */
#define CLOSE_FULL_NS UINT64_C(1000000000)

/* Who waits for what another thread drives stays awake for so many turns of the scheduler, and no
 * longer than this, before it sleeps. */
#define DOZE_TURNS 16
#define DOZE_NS    UINT64_C(1000000)

/* An append that was started, and that nobody waits for, waits this long for others to share its
 * flush: of the order of the flush itself. */
#define SEAL_LINGER_NS UINT64_C(200000)

/* A wait longer than a year is a wait for ever. */
#define TIMEOUT_MS_MAX INT64_C(31536000000)

/* A stamp of the log's clock is renewed once it is this old; a wall clock that steps further than
 * this against the monotonic clock is held back. */
#define CLOCK_STAMP_MS    INT64_C(1000)
#define CLOCK_STEP_MS_MAX INT64_C(3600000)

/* Memory for the keys of one compaction, the least and the most; and how much of its input one
 * step takes. */
#define COMPACT_MAP_BYTES_MIN ((uint64_t)(4 * KIB))
#define COMPACT_MAP_BYTES     ((uint64_t)(32 * MIB))
#define COMPACT_STEP_BYTES    ((uint64_t)(8 * MIB))

/* How long a deleted log can be restored in an embedded store; how soon a clearing that has to wait
 * for a checkpoint is looked at again, and one that failed. */
#define DELETE_GRACE_MS_DEFAULT UINT64_C(3600000)
#define DELETED_LOOK_NS         UINT64_C(1000000000)
#define DELETED_RETRY_NS        UINT64_C(60000000000)

/* How often a shard's notes are written while they have something to say; with deleted logs alone,
 * a share of their grace if that is longer. And the deleted logs in them: what is behind waits anew
 * after each start. */
#define NOTES_WAIT_NS     UINT64_C(60000000000)
#define NOTES_GRACE_SHARE 64
#define NOTES_ROWS_MAX    65536

/* What a scrub reads at once: enough for one read of the disk to pay, so little that nobody waits
 * for it; what a step costs at least, since opening files is no less work than reading some; how
 * long after the start the first pass begins; and how long a step waits if others need the disk. */
#define SCRUB_STEP_BYTES     ((size_t)(256 * KIB))
#define SCRUB_COST_BYTES_MIN ((uint64_t)(16 * KIB))
#define SCRUB_FIRST_NS       UINT64_C(60000000000)
#define SCRUB_YIELD_NS       UINT64_C(100000000)

/* The embedded log's scrub: a hundredth of what a slow disk gives, and a pass a week. The least
 * rate bounds how long a step is paid for. */
#define SCRUB_BYTES_PER_S_DEFAULT ((uint64_t)(4 * MIB))
#define SCRUB_BYTES_PER_S_MIN     ((uint64_t)(1 * KIB))
#define SCRUB_BYTES_PER_S_MAX     ((uint64_t)(1024 * GIB))
#define SCRUB_INTERVAL_MS_DEFAULT UINT64_C(604800000)

/* How often log starts are looked at, at the most; and at the least, while something waits for a
 * time: the wall clock may be set forward meanwhile. */
#define RETENTION_LOOK_NS     UINT64_C(1000000000)
#define RETENTION_LOOK_MAX_NS UINT64_C(60000000000)

/* How soon a write that met a full disk is tried again. */
#define DISK_FULL_RETRY_NS UINT64_C(100000000)

/* Journals of one data folder: no machine of today has more cores to give. */
#define FOLDER_SHARDS_MAX 1024

/* Partitions of one shard. */
#define SHARD_PARTITIONS_MAX 65536

/* Chains of the tables in which a shard finds its logs: short ones for the thousands that are
 * usual. */
#define SHARD_LOG_CHAINS 4096

/* Logs that a start opens at once: enough to keep the pool's threads busy while one waits. */
#define SHARD_OPENINGS_MAX 16

/* -- Configuration -- */

/* A configuration file, its values (a list and its elements count each), how deep they are nested,
 * and the letters of a number (cJSON reads 63): far above what all keys need, far below what could
 * hold up a start. */
#define CONFIG_FILE_BYTES_MAX   ((size_t)(64 * KIB))
#define CONFIG_VALUES_MAX       1024
#define CONFIG_DEPTH_MAX        8
#define CONFIG_NUMBER_BYTES_MAX 32

/* The longest path of a key; a text and a list of texts as values. */
#define CONFIG_PATH_BYTES_MAX 128
#define CONFIG_TEXT_BYTES_MAX 256
#define CONFIG_TEXTS_MAX      8

/* Problems of one configuration that are told one by one, all are counted; their text; and the
 * letters of what was found that they repeat. */
#define CONFIG_PROBLEMS_MAX      32
#define CONFIG_PROBLEM_BYTES_MAX 512
#define CONFIG_SHOWN_BYTES_MAX   48

/* Replicas of one partition. */
#define REPLICATION_FACTOR_MAX 7

ASSERT_STATIC(BLOCK_BYTES % SECTOR_BYTES == 0, "a block is a whole number of sectors");
ASSERT_STATIC(STORE_SHARDS_MAX <= FOLDER_SHARDS_MAX, "what a store has, its folder may have");
ASSERT_STATIC(BATCH_BYTES_MAX <= SEGMENT_BYTES_MAX, "every batch fits into some segment");
ASSERT_STATIC(REPLICATION_FACTOR_MAX <= QUORUM_VOTERS_MAX, "what a topic may ask for can vote");

#endif /* BASE_LIMITS_H */
