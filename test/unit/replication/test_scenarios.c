/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The core of replication by scenarios that are known to have gone wrong somewhere: elections,
 * forks, delayed messages, partial partitions, leases and handing over, each as a table of what is
 * done and what every replica is after it. How to read one: scripted.h.
 */
#include "lib/case.h"
#include "paper.h"
#include "scripted.h"

/* A pre-vote, a promise on two disks, an opening batch on two disks: nothing leaves before it is
 * durable (RPL-2), and the opening batch commits what is below it. A notice tells the others,
 * and gives the lease. */
TEST(scenario, elects_and_commits)
{
    static const char table[] = "step        A          B          C\n"
                                "stand A     P0:|       .          .\n"
                                "A>B         .          .          .\n"
                                "B>A         C1A?:|     .          .\n"
                                "A>C         .          .          .\n"
                                "silent A>C  .          .          .\n"
                                "flush A     C1A:|      .          .\n"
                                "A>C         .          .          F1A?:|\n"
                                "A>B         .          F1A?:|     .\n"
                                "silent B>A  .          .          .\n"
                                "flush B     .          F1A:|      .\n"
                                "B>A         L1A:|/1Ao  .          .\n"
                                "A>B         .          .          .\n"
                                "B>A         .          .          .\n"
                                "A>B         .          F1A:|/1Ao  .\n"
                                "silent B>A  .          .          .\n"
                                "flush B     .          F1A:|1Ao   .\n"
                                "B>A         .          .          .\n"
                                "flush A     L1A:1Ao|   .          .\n"
                                "talk        .          .          F1A:1Ao|\n"
                                "beat A      .          .          .\n"
                                "talk        L+1A:1Ao|  F1A:1Ao|   .\n";
    scripted_play(3, 2, table);
}

/* W = 2 disks are enough, whosever they are: a leader counts itself like any other voter. */
TEST(scenario, commits_before_the_leaders_own_disk)
{
    static const char table[] = "step        A           B           C\n"
                                "stand A     P0:|        .           .\n"
                                "talk        L1A:1Ao|    F1A:|1Ao    F1A:|1Ao\n"
                                "append A a  L1A:1Ao|/a  .           .\n"
                                "A>B         .           F1A:1Ao|/a  .\n"
                                "A>C         .           .           F1A:1Ao|/a\n"
                                "flush B     .           F1A:1Ao|a   .\n"
                                "B>A         .           .           .\n"
                                "flush C     .           .           F1A:1Ao|a\n"
                                "C>A         L1A:1Ao/a|  .           .\n"
                                "flush A     L1A:1Aoa|   .           .\n";
    scripted_play(3, 2, table);
}

/* KIP-101, the first case. B has the record a on disk and has acknowledged it, but was not told
 * that it is committed. When B starts, and then misses an append, a cut at its own commit end
 * would lose a as soon as A falls: B cuts nothing. */
TEST(scenario, keeps_what_its_own_commit_end_does_not_know)
{
    static const char table[] = "step              A             B             C\n"
                                "stand A           P0:|          .             .\n"
                                "talk              L1A:1Ao|      F1A:|1Ao      F1A:|1Ao\n"
                                "cut A-C           .             .             .\n"
                                "append A a        L1A:1Ao|/a    .             .\n"
                                "talk              L1A:1Aoa|     F1A:1Ao|a     .\n"
                                "crash B, start B  .             F1A:|1Aoa     .\n"
                                "append A b        L1A:1Aoa|/b   .             .\n"
                                "drop A>B          .             .             .\n"
                                "append A c        L1A:1Aoa|/bc  .             .\n"
                                "A>B               .             .             .\n"
                                "crash A           down:1Aoa     .             .\n"
                                "wait 12           .             .             .\n"
                                "stand B           .             P1A:|1Aoa     .\n"
                                "talk BC           .             L2B:1Aoa2Bo|  F2B:|1Aoa2Bo\n";
    scripted_play(3, 2, table);
}

/* Who starts anew knows of no commit end, and believes none before it was compared with the leader.
 * Where nobody appends, nobody would: it asks to be asked, or it would show old ends for ever. */
TEST(scenario, tells_who_starts_anew_what_is_committed)
{
    static const char table[] = "step              A             B             C\n"
                                "stand A           P0:|          .             .\n"
                                "talk              L1A:1Ao|      F1A:|1Ao      F1A:|1Ao\n"
                                "append A a        L1A:1Ao|/a    .             .\n"
                                "talk              L1A:1Aoa|     F1A:1Ao|a     F1A:1Ao|a\n"
                                "crash B, start B  .             F1A:|1Aoa     .\n"
                                "beat A            .             .             .\n"
                                "talk              L+1A:1Aoa|    F1A:1Aoa|     F1A:1Aoa|\n";
    scripted_play(3, 2, table);
}

/* The same where a late message has compared a part: that is no reason not to ask. */
TEST(scenario, tells_who_starts_anew_what_is_committed_after_a_late_message_too)
{
    static const char table[] = "step              A             B             C\n"
                                "stand A           P0:|          .             .\n"
                                "talk              L1A:1Ao|      F1A:|1Ao      F1A:|1Ao\n"
                                "append A a        L1A:1Ao|/a    .             .\n"
                                "repeat A>B        .             F1A:1Ao|/a    .\n"
                                "delay A>B         .             .             .\n"
                                "talk              L1A:1Aoa|     F1A:1Ao|a     F1A:1Ao|a\n"
                                "append A b        L1A:1Aoa|/b   .             .\n"
                                "talk              L1A:1Aoab|    F1A:1Aoa|b    F1A:1Aoa|b\n"
                                "crash B, start B  .             F1A:|1Aoab    .\n"
                                "late A>B          .             F1A:1Ao|ab    .\n"
                                "beat A            .             .             .\n"
                                "talk              L+1A:1Aoab|   F1A:1Aoab|    F1A:1Aoab|\n";
    scripted_play(3, 2, table);
}

/* Questions and answers of an election, each of them twice, and some of them late: who leads is not
 * deposed by what was asked before, nobody promises more for it, and no answer counts for another
 * question. */
TEST(scenario, elects_by_no_question_or_answer_twice)
{
    static const char table[] = "step                 A          B         C\n"
                                "stand A              P0:|       .         .\n"
                                "repeat A>B           .          .         .\n"
                                "A>B                  .          .         .\n"
                                "repeat B>A           C1A?:|     .         .\n"
                                "B>A                  .          .         .\n"
                                "B>A                  .          .         .\n"
                                "flush A              C1A:|      .         .\n"
                                "delay A>C            .          .         .\n"
                                "repeat A>B, flush B  .          F1A:|     .\n"
                                "repeat B>A           L1A:|/1Ao  .         .\n"
                                "A>B                  .          .         .\n"
                                "B>A                  .          .         .\n"
                                "B>A                  .          .         .\n"
                                "delay A>C            .          .         .\n"
                                "talk                 L1A:1Ao|   F1A:|1Ao  F1A:|1Ao\n"
                                "late A>C             .          .         .\n"
                                "late A>C             .          .         .\n"
                                "talk                 .          .         .\n";
    scripted_play(3, 2, table);
}

/* KIP-101, the second case. All fall; A alone had a on disk, and B fills that place with another
 * batch. The lengths say nothing about it, the epochs do: A gives way. */
TEST(scenario, heals_what_parted_in_a_power_cut)
{
    static const char table[] =
        "step                       A             B              C\n"
        "stand A                    P0:|          .              .\n"
        "talk                       L1A:1Ao|      F1A:|1Ao       F1A:|1Ao\n"
        "append A a                 L1A:1Ao|/a    .              .\n"
        "drop A>B, drop A>C         .             .              .\n"
        "flush A                    L1A:1Ao|a     .              .\n"
        "crash A, crash B, crash C  down:1Aoa     down:1Ao       down:1Ao\n"
        "start B, start C           .             F1A:|1Ao       F1A:|1Ao\n"
        "wait 12                    .             .              .\n"
        "stand B                    .             P1A:|1Ao       .\n"
        "talk BC                    .             L2B:1Ao2Bo|    F2B:|1Ao2Bo\n"
        "append B b                 .             L2B:1Ao2Bo|/b  .\n"
        "talk BC                    .             L2B:1Ao2Bob|   F2B:1Ao2Bo|b\n"
        "start A                    F1A:|1Aoa     .              .\n"
        "drop B>A                   .             .              .\n"
        "wait 6, look B             .             .              .\n"
        "talk                       F2B:1Ao2Bob|  .              .\n";
    scripted_play(3, 2, table);
}

/* KIP-279. A and B each have a tail that nobody else saw, and C, the third leader, has never
 * heard of 2B. B's answer names the epoch 2B, for which C has nothing: it tries the end of its
 * next older one. */
TEST(scenario, follows_three_leaders_in_quick_succession)
{
    static const char table[] =
        "step             A            B             C             D            E\n"
        "stand A          P0:|         .             .             .            .\n"
        "talk             L1A:1Ao|     F1A:|1Ao      F1A:|1Ao      F1A:|1Ao     F1A:|1Ao\n"
        "append A a       L1A:1Ao|/a   .             .             .            .\n"
        "flush A          L1A:1Ao|a    .             .             .            .\n"
        "crash A, drop A  down:1Aoa    .             .             .            .\n"
        "wait 12          .            .             .             .            .\n"
        "stand B          .            P1A:|1Ao      .             .            .\n"
        "B>>C, B>>D       .            .             .             .            .\n"
        "C>>B, D>>B       .            C2B?:|1Ao     .             .            .\n"
        "flush B          .            C2B:|1Ao      .             .            .\n"
        "B>>C, B>>D       .            .             F2B?:|1Ao     F2B?:|1Ao    .\n"
        "flush C, flush D .            .             F2B:|1Ao      F2B:|1Ao     .\n"
        "C>>B, D>>B       .            L2B:|1Ao/2Bo  .             .            .\n"
        "append B b       .            L2B:|1Ao/2Bob .             .            .\n"
        "flush B          .            L2B:|1Ao2Bob  .             .            .\n"
        "crash B, drop B  .            down:1Ao2Bob  .             .            .\n"
        "wait 12          .            .             .             .            .\n"
        "stand C          .            .             P2B:|1Ao      .            .\n"
        "talk CDE         .            .             L3C:1Ao3Co|   F3C:|1Ao3Co  F3C:|1Ao3Co\n"
        "append C c       .            .             L3C:1Ao3Co|/c .            .\n"
        "talk CDE         .            .             L3C:1Ao3Coc|  F3C:1Ao3Co|c F3C:1Ao3Co|c\n"
        "start A, start B F1A:|1Aoa    F2B:|1Ao2Bob  .             .            .\n"
        "wait 6, look C   .            .             .             .            .\n"
        "talk             F3C:1Ao3Coc| F3C:1Ao3Coc|  .             .            .\n";
    scripted_play(5, 3, table);
}

/* Raft's figure 8. In 3A, the record a of 1A comes to be on the disks of three of five, and yet
 * E, whose last epoch is higher, may still win and cut it: so a was not to be committed (RPL-6),
 * and was not. */
TEST(scenario, does_not_commit_an_old_epoch_by_counting)
{
    static const char table[] =
        "step             A             B          C              D              E\n"
        "stand A          P0:|          .          .              .              .\n"
        "talk             L1A:1Ao|      F1A:|1Ao   F1A:|1Ao       F1A:|1Ao       F1A:|1Ao\n"
        "append A a       L1A:1Ao|/a    .          .              .              .\n"
        "A>B              .             F1A:1Ao|/a .              .              .\n"
        "flush B, flush A L1A:1Ao|a     F1A:1Ao|a  .              .              .\n"
        "crash A, drop A  down:1Aoa     .          .              .              .\n"
        "drop B>A         .             .          .              .              .\n"
        "wait 12          .             .          .              .              .\n"
        "stand E          .             .          .              .              P1A:|1Ao\n"
        "E>>C, E>>D       .             .          .              .              .\n"
        "C>>E, D>>E       .             .          .              .              C2E?:|1Ao\n"
        "flush E          .             .          .              .              C2E:|1Ao\n"
        "E>>C, E>>D       .             .          F2E?:|1Ao      F2E?:|1Ao      .\n"
        "flush C, flush D .             .          F2E:|1Ao       F2E:|1Ao       .\n"
        "C>>E, D>>E       .             .          .              .              L2E:|1Ao/2Eo\n"
        "flush E          .             .          .              .              L2E:|1Ao2Eo\n"
        "crash E, drop E  .             .          .              .              down:1Ao2Eo\n"
        "start A          F1A:|1Aoa     .          .              .              .\n"
        "wait 12          .             .          .              .              .\n"
        "stand A          P1A:|1Aoa     .          .              .              .\n"
        "talk ABC         .             .          .              .              .\n"
        "stand A          .             .          .              .              .\n"
        "A>>B, A>>C       .             .          .              .              .\n"
        "B>>A, C>>A       C3A?:|1Aoa    .          .              .              .\n"
        "flush A          C3A:|1Aoa     .          .              .              .\n"
        "A>>B, A>>C       .             F3A?:1Ao|a F3A?:|1Ao      .              .\n"
        "flush B, flush C .             F3A:1Ao|a  F3A:|1Ao       .              .\n"
        "B>>A, C>>A       L3A:|1Aoa/3Ao .          .              .              .\n"
        "A>B, B>A         .             .          .              .              .\n"
        "A>C, C>A         .             .          .              .              .\n"
        "A>C, C>A         .             .          .              .              .\n"
        "A>C              .             .          F3A:|1Ao/a     .              .\n"
        "flush C          .             .          F3A:|1Aoa      .              .\n"
        "flush A          L3A:|1Aoa3Ao  .          .              .              .\n"
        "C>A              .             .          .              .              .\n"
        "crash A, drop A  down:1Aoa3Ao  .          .              .              .\n"
        "start E          .             .          .              .              F2E:|1Ao2Eo\n"
        "wait 12          .             .          .              .              .\n"
        "stand E          .             .          .              .              P2E:|1Ao2Eo\n"
        "talk CDE         .             .          F3E:|1Ao2Eo3Eo F3E:|1Ao2Eo3Eo L3E:1Ao2Eo3Eo|\n";
    scripted_play(5, 3, table);
}

/* The append of a arrives once more after b was acknowledged. It ends before the log does, and
 * that is no reason to cut (RPL-4): b may be committed on the strength of B's disk. */
TEST(scenario, keeps_what_stands_behind_a_delayed_shorter_append)
{
    static const char table[] = "step        A            B            C\n"
                                "stand A     P0:|         .            .\n"
                                "talk        L1A:1Ao|     F1A:|1Ao     F1A:|1Ao\n"
                                "append A a  L1A:1Ao|/a   .            .\n"
                                "repeat A>B  .            F1A:1Ao|/a   .\n"
                                "delay A>B   .            .            .\n"
                                "append A b  L1A:1Ao|/ab  .            .\n"
                                "A>B         .            F1A:1Ao|/ab  .\n"
                                "flush B     .            F1A:1Ao|ab   .\n"
                                "B>A         .            .            .\n"
                                "flush A     L1A:1Aoab|   .            .\n"
                                "late A>B    .            .            .\n"
                                "B>A         .            .            .\n";
    scripted_play(3, 2, table);
}

/* The first acknowledgement is lost. The same append comes again, changes nothing, and is
 * acknowledged. */
TEST(scenario, answers_a_repeated_append_again)
{
    static const char table[] = "step        A           B           C\n"
                                "stand A     P0:|        .           .\n"
                                "talk        L1A:1Ao|    F1A:|1Ao    F1A:|1Ao\n"
                                "cut A-C     .           .           .\n"
                                "append A a  L1A:1Ao|/a  .           .\n"
                                "repeat A>B  .           F1A:1Ao|/a  .\n"
                                "flush B     .           F1A:1Ao|a   .\n"
                                "drop B>A    .           .           .\n"
                                "flush A     L1A:1Ao|a   .           .\n"
                                "A>B         .           .           .\n"
                                "B>A         L1A:1Aoa|   .           .\n";
    scripted_play(3, 2, table);
}

/* What is believed of a follower only grows in an epoch: the acknowledgement of a, that comes
 * late, moves nothing, nor does that of b when it comes twice, and c goes on where b ended. */
TEST(scenario, takes_no_step_back_for_a_stale_acknowledgement)
{
    static const char table[] = "step        A             B             C\n"
                                "stand A     P0:|          .             .\n"
                                "talk        L1A:1Ao|      F1A:|1Ao      F1A:|1Ao\n"
                                "cut A-C     .             .             .\n"
                                "append A a  L1A:1Ao|/a    .             .\n"
                                "A>B         .             F1A:1Ao|/a    .\n"
                                "flush B     .             F1A:1Ao|a     .\n"
                                "delay B>A   .             .             .\n"
                                "append A b  L1A:1Ao|/ab   .             .\n"
                                "A>B         .             F1A:1Ao|a/b   .\n"
                                "flush B     .             F1A:1Ao|ab    .\n"
                                "repeat B>A  .             .             .\n"
                                "B>A         .             .             .\n"
                                "late B>A    .             .             .\n"
                                "flush A     L1A:1Aoab|    .             .\n"
                                "append A c  L1A:1Aoab|/c  .             .\n"
                                "A>B         .             F1A:1Aoab|/c  .\n"
                                "flush B     .             F1A:1Aoab|c   .\n"
                                "B>A         .             .             .\n";
    scripted_play(3, 2, table);
}

/* B missed a and said so; then it got all. Its old answer, coming late, is about a place that is
 * known to be alike by now. */
TEST(scenario, takes_no_step_back_for_a_stale_fork_answer)
{
    static const char table[] = "step        A             B             C\n"
                                "stand A     P0:|          .             .\n"
                                "talk        L1A:1Ao|      F1A:|1Ao      F1A:|1Ao\n"
                                "cut A-C     .             .             .\n"
                                "append A a  L1A:1Ao|/a    .             .\n"
                                "drop A>B    .             .             .\n"
                                "append A b  L1A:1Ao|/ab   .             .\n"
                                "A>B         .             .             .\n"
                                "repeat B>A  .             .             .\n"
                                "delay B>A   .             .             .\n"
                                "talk        L1A:1Aoab|    F1A:1Ao|ab    .\n"
                                "late B>A    .             .             .\n"
                                "append A c  L1A:1Aoab|/c  .             .\n"
                                "A>B         .             F1A:1Aoab|/c  .\n"
                                "flush B     .             F1A:1Aoab|c   .\n"
                                "B>A         .             .             .\n"
                                "flush A     L1A:1Aoabc|   .             .\n";
    scripted_play(3, 2, table);
}

/* A was cut off while C was elected, and has not noticed. The promise in B's refusal is enough
 * (RPL-1). */
TEST(scenario, lets_a_refusal_depose_a_leader)
{
    static const char table[] = "step              A           B            C\n"
                                "stand A           P0:|        .            .\n"
                                "talk              L1A:1Ao|    F1A:|1Ao     F1A:|1Ao\n"
                                "cut A-B, cut A-C  .           .            .\n"
                                "wait 12           .           .            .\n"
                                "stand C           .           .            P1A:|1Ao\n"
                                "talk BC           .           F2C:|1Ao2Co  L2C:1Ao2Co|\n"
                                "heal              .           .            .\n"
                                "append A a        L1A:1Ao|/a  .            .\n"
                                "A>B               .           .            .\n"
                                "B>A               F1A:1Ao|/a  .            .\n";
    scripted_play(3, 2, table);
}

/* A took a and b for itself while C led 2C with B. None of it was acknowledged by two, so all of
 * it may go. */
TEST(scenario, cuts_the_tail_of_a_deposed_leader)
{
    static const char table[] = "step              A             B             C\n"
                                "stand A           P0:|          .             .\n"
                                "talk              L1A:1Ao|      F1A:|1Ao      F1A:|1Ao\n"
                                "cut A-B, cut A-C  .             .             .\n"
                                "append A a        L1A:1Ao|/a    .             .\n"
                                "append A b        L1A:1Ao|/ab   .             .\n"
                                "flush A           L1A:1Ao|ab    .             .\n"
                                "wait 12           .             .             .\n"
                                "stand C           .             .             P1A:|1Ao\n"
                                "talk BC           .             F2C:|1Ao2Co   L2C:1Ao2Co|\n"
                                "append C c        .             .             L2C:1Ao2Co|/c\n"
                                "talk BC           .             F2C:1Ao2Co|c  L2C:1Ao2Coc|\n"
                                "heal              .             .             .\n"
                                "wait 6, look C    .             .             .\n"
                                "talk              F2C:1Ao2Coc|  .             .\n";
    scripted_play(3, 2, table);
}

/* Omni-Paxos, loss of the quorum: only C still reaches everybody, and A, which leads, reaches C
 * alone. A lets go since it could commit nothing; then C's pre-vote can win, and the others'
 * cannot. */
TEST(scenario, elects_the_only_one_who_reaches_enough)
{
    static const char table[] =
        "step       A            B            C              D            E\n"
        "stand A    P0:|         .            .              .            .\n"
        "talk       L1A:1Ao|     F1A:|1Ao     F1A:|1Ao       F1A:|1Ao     F1A:|1Ao\n"
        "cut A-B    .            .            .              .            .\n"
        "cut A-D    .            .            .              .            .\n"
        "cut A-E    .            .            .              .            .\n"
        "cut B-D    .            .            .              .            .\n"
        "cut B-E    .            .            .              .            .\n"
        "cut D-E    .            .            .              .            .\n"
        "run 60     F2C:1Ao2Co|  F2C:1Ao2Co|  L+2C:1Ao2Co|   F2C:1Ao2Co|  F2C:1Ao2Co|\n"
        "append C a .            .            L+2C:1Ao2Co|/a .            .\n"
        "run 1      F2C:1Ao2Coa| F2C:1Ao2Coa| L+2C:1Ao2Coa|  F2C:1Ao2Coa| F2C:1Ao2Coa|\n";
    scripted_play(5, 3, table);
}

/* Omni-Paxos, constrained election: E alone reaches everybody but A, which is cut off, and lacks a,
 * which is committed. B and C have it and reach too few. Omni-Paxos would bring E level before it
 * leads; a vote that compares logs cannot, so nobody leads until a link heals. It is the price of
 * the simpler election, and no round is used up meanwhile. */
TEST(scenario, elects_nobody_who_lacks_what_is_committed)
{
    static const char table[] =
        "step       A             B            C            D            E\n"
        "stand A    P0:|          .            .            .            .\n"
        "talk       L1A:1Ao|      F1A:|1Ao     F1A:|1Ao     F1A:|1Ao     F1A:|1Ao\n"
        "cut A-D    .             .            .            .            .\n"
        "cut A-E    .             .            .            .            .\n"
        "append A a L1A:1Ao|/a    .            .            .            .\n"
        "talk ABC   L1A:1Aoa|     F1A:1Ao|a    F1A:1Ao|a    .            .\n"
        "cut A-B    .             .            .            .            .\n"
        "cut A-C    .             .            .            .            .\n"
        "cut B-C    .             .            .            .            .\n"
        "cut B-D    .             .            .            .            .\n"
        "cut C-D    .             .            .            .            .\n"
        "run 60     P1A:1Aoa|     P1A:1Ao|a    P1A:1Ao|a    P1A:|1Ao     P1A:|1Ao\n"
        "heal       .             .            .            .            .\n"
        "run 6      L+2A:1Aoa2Ao| F2A:1Aoa2Ao| F2A:1Aoa2Ao| F2A:1Aoa2Ao| F2A:1Aoa2Ao|\n";
    scripted_play(5, 3, table);
}

/* Omni-Paxos, the chained partition: A leads, C reaches only B. B hears A and would not elect C,
 * so the lead does not go to and fro; and when A is cut off from B too, C and B go on. */
TEST(scenario, stays_with_its_leader_along_a_chain)
{
    static const char table[] = "step        A            B              C\n"
                                "stand A     P0:|         .              .\n"
                                "talk        L1A:1Ao|     F1A:|1Ao       F1A:|1Ao\n"
                                "cut A-C     .            .              .\n"
                                "run 30      L+1A:1Ao|    F1A:1Ao|       P1A:|1Ao\n"
                                "append A a  L+1A:1Ao|/a  .              .\n"
                                "run 1       L+1A:1Aoa|   F1A:1Aoa|      .\n"
                                "cut A-B     .            .              .\n"
                                "run 20      P1A:1Aoa|    L+2B:1Aoa2Bo|  F2B:1Aoa2Bo|\n";
    scripted_play(3, 2, table);
}

/* W = 1: one disk commits, so all N have to agree to an election (W + E > N), and none is held
 * without A. */
TEST(scenario, commits_alone_with_w_of_one)
{
    static const char table[] = "step                A              B             C\n"
                                "stand A             P0:|           .             .\n"
                                "talk                L+1A:1Ao|      F1A:1Ao|      F1A:1Ao|\n"
                                "append A a          L+1A:1Ao|/a    .             .\n"
                                "flush A             L+1A:1Aoa|     .             .\n"
                                "drop A>B, drop A>C  .              .             .\n"
                                "crash A             down:1Aoa      .             .\n"
                                "wait 12             .              .             .\n"
                                "stand B             .              P1A:1Ao|      .\n"
                                "talk BC             .              .             .\n"
                                "start A             F1A:|1Aoa      .             .\n"
                                "wait 12             .              .             .\n"
                                "stand B             .              .             .\n"
                                "talk                .              .             .\n"
                                "stand A             P1A:|1Aoa      .             .\n"
                                "talk                L+2A:1Aoa2Ao|  F2A:1Aoa2Ao|  F2A:1Aoa2Ao|\n";
    scripted_play(3, 1, table);
}

/* W = N: each disk has all that is committed, so that one vote elects; but a pre-vote wants to
 * see W, since a leader that reaches fewer could never commit. */
TEST(scenario, commits_with_all_and_elects_with_few)
{
    static const char table[] = "step              A              B              C\n"
                                "stand A           P0:|           .              .\n"
                                "talk              L1A:1Ao|       F1A:|1Ao       F1A:|1Ao\n"
                                "append A a        L1A:1Ao|/a     .              .\n"
                                "talk AB           L1A:1Ao|a      F1A:1Ao|a      .\n"
                                "talk              L1A:1Aoa|      .              F1A:1Ao|a\n"
                                "crash C           .              .              down:1Aoa\n"
                                "append A b        L1A:1Aoa|/b    .              .\n"
                                "talk AB           L1A:1Aoa|b     F1A:1Aoa|b     .\n"
                                "crash A           down:1Aoab     .              .\n"
                                "wait 12           .              .              .\n"
                                "stand B           .              P1A:1Aoa|b     .\n"
                                "talk B            .              .              .\n"
                                "start A, start C  F1A:|1Aoab     .              F1A:|1Aoa\n"
                                "wait 12           .              .              .\n"
                                "stand B           .              .              .\n"
                                "talk              F2B:1Aoa|b2Bo  L2B:1Aoab2Bo|  F2B:1Aoa|b2Bo\n";
    scripted_play(3, 3, table);
}

/* A is paused for longer than its lease, and does not know it. It looks at the clock before it
 * reads. */
TEST(scenario, does_not_believe_a_lease_over_a_pause)
{
    static const char table[] = "step     A            B            C\n"
                                "stand A  P0:|         .            .\n"
                                "talk     L1A:1Ao|     F1A:|1Ao     F1A:|1Ao\n"
                                "beat A   .            .            .\n"
                                "talk     L+1A:1Ao|    F1A:1Ao|     F1A:1Ao|\n"
                                "wait 12  L1A:1Ao|     .            .\n"
                                "stand C  .            .            P1A:1Ao|\n"
                                "talk BC  .            F2C:1Ao|2Co  L2C:1Ao2Co|\n"
                                "look A   F1A:1Ao|     .            .\n"
                                "talk     F2C:1Ao2Co|  .            .\n";
    scripted_play(3, 2, table);
}

/* B has confirmed A's lease and falls. When it is back it cannot know that, and so grants nobody
 * for a timeout (RPL-7): else C would open an epoch under A's lease. */
TEST(scenario, grants_nothing_right_after_a_start)
{
    static const char table[] = "step              A          B         C\n"
                                "stand A           P0:|       .         .\n"
                                "talk              L1A:1Ao|   F1A:|1Ao  F1A:|1Ao\n"
                                "wait 25           .          .         .\n"
                                "beat A            .          .         .\n"
                                "drop A>C          .          .         .\n"
                                "A>>B              .          F1A:1Ao|  .\n"
                                "B>>A              L+1A:1Ao|  .         .\n"
                                "crash B, start B  .          F1A:|1Ao  .\n"
                                "stand C           .          .         P1A:|1Ao\n"
                                "C>>B              .          .         .\n"
                                "B>>C              .          .         .\n"
                                "talk BC           .          .         .\n";
    scripted_play(3, 2, table);
}

/* A takes no more, waits until B is level, and tells it to stand. No time passes, and A believes
 * in no lease from then on. */
TEST(scenario, hands_over_without_a_pause)
{
    static const char table[] = "step        A              B               C\n"
                                "stand A     P0:|           .               .\n"
                                "talk        L1A:1Ao|       F1A:|1Ao        F1A:|1Ao\n"
                                "beat A      .              .               .\n"
                                "talk        L+1A:1Ao|      F1A:1Ao|        F1A:1Ao|\n"
                                "append A a  L+1A:1Ao|/a    .               .\n"
                                "hand A>B    .              .               .\n"
                                "refuse A    .              .               .\n"
                                "A>B         .              F1A:1Ao|/a      .\n"
                                "flush B     .              F1A:1Ao|a       .\n"
                                "B>A         L1A:1Ao|/a     .               .\n"
                                "A>B         .              C2B?:1Ao|a      .\n"
                                "flush B     .              C2B:1Ao|a       .\n"
                                "talk        F2B:1Aoa|2Bo   L2B:1Aoa2Bo|    F2B:1Ao|a2Bo\n"
                                "append B b  .              L2B:1Aoa2Bo|/b  .\n"
                                "talk        F2B:1Aoa2Bo|b  L2B:1Aoa2Bob|   F2B:1Aoa2Bo|b\n";
    scripted_play(3, 2, table);
}

/* B never became level. After a timeout A takes proposals again, and nothing was told to B. */
TEST(scenario, goes_on_when_a_hand_over_comes_to_nothing)
{
    static const char table[] = "step            A             B         C\n"
                                "stand A         P0:|          .         .\n"
                                "talk            L1A:1Ao|      F1A:|1Ao  F1A:|1Ao\n"
                                "cut A-B         .             .         .\n"
                                "append A a      L1A:1Ao|/a    .         .\n"
                                "hand A>B        .             .         .\n"
                                "refuse A        .             .         .\n"
                                "wait 9          .             .         .\n"
                                "beat A          .             .         .\n"
                                "A>>C            .             .         F1A:1Ao|/a\n"
                                "flush C         .             .         F1A:1Ao|a\n"
                                "C>>A            L+1A:1Ao|/a   .         .\n"
                                "wait 2, look A  .             .         .\n"
                                "append A b      L+1A:1Ao|/ab  .         .\n"
                                "flush A         L+1A:1Aoa|b   .         .\n"
                                "A>C             .             .         F1A:1Ao|a/b\n"
                                "flush C         .             .         F1A:1Ao|ab\n"
                                "C>A             L+1A:1Aoab|   .         .\n";
    scripted_play(3, 2, table);
}

/* The message is lost, and A tells B again when it looks around: no lease, no timeout, no pause
 * but that one. */
TEST(scenario, repeats_a_hand_over_that_was_lost)
{
    static const char table[] = "step            A             B             C\n"
                                "stand A         P0:|          .             .\n"
                                "talk            L1A:1Ao|      F1A:|1Ao      F1A:|1Ao\n"
                                "hand A>B        .             .             .\n"
                                "drop A>B        .             .             .\n"
                                "refuse A        .             .             .\n"
                                "wait 3, look A  .             .             .\n"
                                "refuse A        .             .             .\n"
                                "A>B             .             C2B?:|1Ao     .\n"
                                "talk            F2B:1Ao|2Bo   L2B:1Ao2Bo|   F2B:|1Ao2Bo\n";
    scripted_play(3, 2, table);
}

/* B was told to stand and it may yet do so, whenever the message comes: A has no lease in this
 * epoch, however many confirm it. So when B's time is over A hands over to itself: it takes records
 * and has a lease again in an epoch that nobody was told to end. */
TEST(scenario, opens_a_new_epoch_when_a_hand_over_comes_to_nothing)
{
    static const char table[] = "step            A             B             C\n"
                                "stand A         P0:|          .             .\n"
                                "talk            L1A:1Ao|      F1A:|1Ao      F1A:|1Ao\n"
                                "beat A          .             .             .\n"
                                "talk            L+1A:1Ao|     F1A:1Ao|      F1A:1Ao|\n"
                                "hand A>B        L1A:1Ao|      .             .\n"
                                "delay A>B       .             .             .\n"
                                "wait 9          .             .             .\n"
                                "beat A          .             .             .\n"
                                "talk            .             .             .\n"
                                "wait 2, look A  C2A?:1Ao|     .             .\n"
                                "talk            L2A:1Ao2Ao|   F2A:1Ao|2Ao   F2A:1Ao|2Ao\n"
                                "append A a      L2A:1Ao2Ao|/a .             .\n"
                                "talk            L2A:1Ao2Aoa|  F2A:1Ao2Ao|a  F2A:1Ao2Ao|a\n"
                                "beat A          .             .             .\n"
                                "talk            L+2A:1Ao2Aoa| F2A:1Ao2Aoa|  F2A:1Ao2Aoa|\n"
                                "late A>B        .             .             .\n"
                                "talk            .             .             .\n";
    scripted_play(3, 2, table);
}

/* B is told to stand in 1A, and A leads 2A when the message comes to it, of which B has not heard.
 * B asks all the same; who has promised 2A is bound to it, and not to what 1A's leader wished. */
TEST(scenario, obeys_no_hand_over_of_an_epoch_before)
{
    static const char table[] = "step            A             B             C\n"
                                "stand A         P0:|          .             .\n"
                                "talk            L1A:1Ao|      F1A:|1Ao      F1A:|1Ao\n"
                                "hand A>B        .             .             .\n"
                                "delay A>B       .             .             .\n"
                                "wait 9          .             .             .\n"
                                "beat A          .             .             .\n"
                                "talk AC         .             .             F1A:1Ao|\n"
                                "drop A>B        .             .             .\n"
                                "wait 2, look A  C2A?:1Ao|     .             .\n"
                                "talk AC         L2A:1Ao2Ao|   .             F2A:1Ao|2Ao\n"
                                "beat A          .             .             .\n"
                                "talk AC         L+2A:1Ao2Ao|  .             F2A:1Ao2Ao|\n"
                                "late A>B        .             C2B?:|1Ao     .\n"
                                "flush B         .             C2B:|1Ao      .\n"
                                "B>C, C>B        .             .             .\n"
                                "drop A>B        .             .             .\n"
                                "B>A             .             .             .\n"
                                "A>B             .             .             .\n";
    scripted_play(3, 2, table);
}

/* A's disk takes long, and B and C commit without it. What was committed at one look is not durable
 * at home a timeout later: A hands over, to C, whose disk answers faster. */
TEST(scenario, hands_over_when_its_own_disk_is_slow)
{
    static const char table[] =
        "step                    A             B             C\n"
        "stand A                 P0:|          .             .\n"
        "talk                    L1A:1Ao|      F1A:|1Ao      F1A:|1Ao\n"
        "append A a              L1A:1Ao|/a    .             .\n"
        "A>B, A>C                .             F1A:1Ao|/a    F1A:1Ao|/a\n"
        "wait 1, flush C, C>A    .             .             F1A:1Ao|a\n"
        "wait 1, flush B, B>A    L1A:1Ao/a|    F1A:1Ao|a     .\n"
        "beat A                  .             .             .\n"
        "A>>B, A>>C, B>>A, C>>A  L+1A:1Ao/a|   F1A:1Aoa|     F1A:1Aoa|\n"
        "wait 2, look A          .             .             .\n"
        "wait 9, beat A          L1A:1Ao/a|    .             .\n"
        "A>>B, A>>C, B>>A, C>>A  L+1A:1Ao/a|   .             .\n"
        "wait 2, look A          L1A:1Ao/a|    .             .\n"
        "silent A>B              .             .             .\n"
        "A>C, flush C            .             .             C2C:1Aoa|\n"
        "talk BC                 .             F2C:1Aoa|2Co  L2C:1Aoa2Co|\n";
    scripted_play(3, 2, table);
}

/* One flush alone has been under way for more than a timeout, and its driver says so. */
TEST(scenario, hands_over_when_its_own_disk_hangs)
{
    static const char table[] = "step                    A             B             C\n"
                                "stand A                 P0:|          .             .\n"
                                "talk                    L1A:1Ao|      F1A:|1Ao      F1A:|1Ao\n"
                                "beat A, talk            L+1A:1Ao|     F1A:1Ao|      F1A:1Ao|\n"
                                "append A a              L+1A:1Ao|/a   .             .\n"
                                "A>B, A>C                .             F1A:1Ao|/a    F1A:1Ao|/a\n"
                                "wait 3, look A 11       .             .             .\n"
                                "flush B, flush C        .             F1A:1Ao|a     F1A:1Ao|a\n"
                                "B>A, C>A                L+1A:1Ao/a|   .             .\n"
                                "wait 3, beat A          .             .             .\n"
                                "A>>B, A>>C, B>>A, C>>A  .             F1A:1Aoa|     F1A:1Aoa|\n"
                                "look A 10               .             .             .\n"
                                "silent A>B, silent A>C  .             .             .\n"
                                "wait 3, look A 11       L1A:1Ao/a|    .             .\n"
                                "refuse A                .             .             .\n"
                                "A>B                     .             C2B?:1Aoa|    .\n";
    scripted_play(3, 2, table);
}

/* W = 3 of 3: A's disk is as slow as before, but no commit is ahead of it, whoever leads. */
TEST(scenario, leads_on_with_a_slow_disk_that_every_commit_needs)
{
    static const char table[] = "step                    A             B             C\n"
                                "stand A                 P0:|          .             .\n"
                                "talk                    L1A:1Ao|      F1A:|1Ao      F1A:|1Ao\n"
                                "append A a              L1A:1Ao|/a    .             .\n"
                                "A>B, A>C                .             F1A:1Ao|/a    F1A:1Ao|/a\n"
                                "flush B, flush C        .             F1A:1Ao|a     F1A:1Ao|a\n"
                                "B>A, C>A                .             .             .\n"
                                "wait 9, beat A          .             .             .\n"
                                "A>>B, A>>C, B>>A, C>>A  L+1A:1Ao|/a   .             .\n"
                                "look A 20               .             .             .\n"
                                "wait 9, beat A          L1A:1Ao|/a    .             .\n"
                                "A>>B, A>>C, B>>A, C>>A  L+1A:1Ao|/a   .             .\n"
                                "look A 20               .             .             .\n"
                                "silent A>B, silent A>C  .             .             .\n"
                                "flush A                 L+1A:1Aoa|    .             .\n";
    scripted_play(3, 3, table);
}

/* C's node asks from a disk that is no voter: what the voter C had promised and acknowledged is
 * not on it. */
TEST(scenario, ignores_a_candidate_from_another_disk)
{
    static const char table[] = "step          A      B  C\n"
                                "stand C       .      .  P0:|\n"
                                "alien C>B     .      .  .\n"
                                "C>A, A>C      .      .  C1C?:|\n"
                                "flush C       .      .  C1C:|\n"
                                "alien C>B     .      .  .\n"
                                "C>A, flush A  F1C:|  .  .\n"
                                "A>C           .      .  L1C:|/1Co\n";
    scripted_play(3, 2, table);
}

/* W = 3 of 4, so that two voters elect, and A and C win in one round: A with B, C with D. Counted
 * votes would make them two leaders of one epoch; here the epochs differ (QUO-1), and the promises
 * of three leave A nobody to commit with. */
TEST(scenario, lets_two_win_one_round_in_two_epochs)
{
    static const char table[] =
        "step               A          B              C              D\n"
        "stand A            P0:|       .              .              .\n"
        "A>B, A>D           .          .              .              .\n"
        "stand C            .          .              P0:|           .\n"
        "C>B, C>D           .          .              .              .\n"
        "B>A, D>A           C1A?:|     .              .              .\n"
        "B>C, D>C           .          .              C1C?:|         .\n"
        "flush A, flush C   C1A:|      .              C1C:|          .\n"
        "drop A>D, drop C>B .          .              .              .\n"
        "A>B, flush B       .          F1A:|          .              .\n"
        "C>D, flush D       .          .              .              F1C:|\n"
        "B>A                L1A:|/1Ao  .              .              .\n"
        "D>C                .          .              L1C:|/1Co      .\n"
        "talk               F1C:1Co|   F1C:|1Co       L1C:1Co|       F1C:|1Co\n";
    scripted_play(4, 3, table);
}

/* The tail that a vote stands for is on the disk by then: the promise comes behind it in the
 * journal, and nothing is asked before that is durable (RPL-2). */
TEST(scenario, asks_for_votes_when_its_own_tail_is_durable)
{
    static const char table[] = "step              A           B           C\n"
                                "stand A           P0:|        .           .\n"
                                "talk              L1A:1Ao|    F1A:|1Ao    F1A:|1Ao\n"
                                "append A a        L1A:1Ao|/a  .           .\n"
                                "A>C               .           .           F1A:1Ao|/a\n"
                                "crash A, drop A   down:1Ao    .           .\n"
                                "wait 12           .           .           .\n"
                                "stand C           .           .           P1A:1Ao|/a\n"
                                "C>B, B>C          .           .           C2C?:1Ao|/a\n"
                                "flush C 1         .           .           C2C?:1Ao|a\n"
                                "silent C>B        .           .           .\n"
                                "flush C           .           .           C2C:1Ao|a\n"
                                "C>B               .           F2C?:|1Ao   .\n";
    scripted_play(3, 2, table);
}

/* A leads again, in another epoch, when B's acknowledgement of a arrives. There is something at
 * that offset by now, but it is not a. */
TEST(scenario, counts_no_acknowledgement_of_another_epoch)
{
    static const char table[] = "step              A             B          C\n"
                                "stand A           P0:|          .          .\n"
                                "talk              L1A:1Ao|      F1A:|1Ao   F1A:|1Ao\n"
                                "append A a        L1A:1Ao|/a    .          .\n"
                                "A>B, flush B      .             F1A:1Ao|a  .\n"
                                "delay B>A         .             .          .\n"
                                "crash B           .             down:1Aoa  .\n"
                                "crash A, drop A   down:1Ao      .          .\n"
                                "start A           F1A:|1Ao      .          .\n"
                                "wait 12           .             .          .\n"
                                "stand A           P1A:|1Ao      .          .\n"
                                "A>C, C>A, flush A C2A:|1Ao      .          .\n"
                                "A>C, flush C      .             .          F2A:|1Ao\n"
                                "C>A, flush A      L2A:|1Ao2Ao   .          .\n"
                                "late B>A          .             .          .\n"
                                "talk AC           L2A:1Ao2Ao|   .          F2A:|1Ao2Ao\n";
    scripted_play(3, 2, table);
}

/* W = 3: an acknowledgement that comes twice is still one disk. */
TEST(scenario, counts_a_repeated_acknowledgement_once)
{
    static const char table[] = "step         A           B          C\n"
                                "stand A      P0:|        .          .\n"
                                "talk         L1A:1Ao|    F1A:|1Ao   F1A:|1Ao\n"
                                "append A a   L1A:1Ao|/a  .          .\n"
                                "flush A      L1A:1Ao|a   .          .\n"
                                "A>B, flush B .           F1A:1Ao|a  .\n"
                                "repeat B>A   .           .          .\n"
                                "B>A          .           .          .\n"
                                "A>C, flush C .           .          F1A:1Ao|a\n"
                                "C>A          L1A:1Aoa|   .          .\n";
    scripted_play(3, 3, table);
}

/* Messages overtake each other. b cannot be taken before a; B says so, A asks where they are alike
 * and sends both, and a changes nothing when it comes at last. */
TEST(scenario, mends_appends_that_overtook_each_other)
{
    static const char table[] = "step        A            B           C\n"
                                "stand A     P0:|         .           .\n"
                                "talk        L1A:1Ao|     F1A:|1Ao    F1A:|1Ao\n"
                                "cut A-C     .            .           .\n"
                                "append A a  L1A:1Ao|/a   .           .\n"
                                "delay A>B   .            .           .\n"
                                "append A b  L1A:1Ao|/ab  .           .\n"
                                "A>B         .            .           .\n"
                                "talk        L1A:1Aoab|   F1A:1Ao|ab  .\n"
                                "late A>B    .            .           .\n";
    scripted_play(3, 2, table);
}

/* All have confirmed A, but its opening batch is on no disk: what of its inheritance is committed,
 * A does not know, and so it serves no read by a lease. */
TEST(scenario, holds_no_lease_before_its_opening_is_committed)
{
    static const char table[] = "step               A            B        C\n"
                                "stand A            P0:|         .        .\n"
                                "A>B, B>A, flush A  C1A:|        .        .\n"
                                "drop A>C           .            .        .\n"
                                "A>B, flush B, B>A  L1A:|/1Ao    F1A:|    .\n"
                                "drop A>B, drop A>C .            .        .\n"
                                "beat A             .            .        .\n"
                                "A>B, B>A           .            .        .\n"
                                "wait 6, look A     .            .        .\n"
                                "talk               L+1A:1Ao|    F1A:|1Ao F1A:|1Ao\n";
    scripted_play(3, 2, table);
}

/* N = 1: there is nobody to ask, and still a record is committed when it is on the disk, and not
 * before. */
TEST(scenario, commits_from_the_disk_where_one_is_alone)
{
    static const char table[] = "step        A\n"
                                "look A      C1A?:|\n"
                                "flush A     L1A:|/1Ao\n"
                                "flush A     L+1A:1Ao|\n"
                                "append A a  L+1A:1Ao|/a\n"
                                "crash A     down:1Ao\n"
                                "start A     F1A:|1Ao\n"
                                "look A      C2A?:|1Ao\n"
                                "flush A     L2A:|1Ao/2Ao\n"
                                "flush A     L+2A:1Ao2Ao|\n";
    scripted_play(1, 1, table);
}

/* C leads an epoch above, and its log parts from A's below what A knows as committed. That cannot
 * be, so some disk has forgotten what it acknowledged: A keeps what it has, and does nothing any
 * more (RPL-4). No table can bring it about. */
TEST(scenario, stands_still_rather_than_cut_what_is_committed)
{
    static struct paper paper;
    paper_begin(&paper, 1, &(struct quorum_rules){3, 2, 2, false});
    struct paper_node *node = &paper.nodes[0];
    paper_crash(&paper, 0, 0);
    node->image.promise = epoch_of(1, (struct node_id){1});
    for (int64_t offset = 0; offset < 10; offset++) {
        node->image.records[offset] = (struct paper_record){node->image.promise, 1};
        node->image.offset_end = offset + 1;
    }
    paper_start(&paper, 0);
    node->replica.committed = 7;
    struct replica_batches batches = {.before = {node->image.promise, 6},
                                      .epoch = epoch_of(2, (struct node_id){3}),
                                      .offset_end = 9};
    paper.messages[0] = (struct paper_message){
        .kind = PAPER_MESSAGE,
        .from = 2,
        .envelope = paper.nodes[2].replica.self,
        .message = {.kind = REPLICA_APPEND, .epoch = batches.epoch, .as.batches = batches}};
    paper.message_count = 1;

    paper_deliver(&paper, 0, true);

    CHECK_INT(node->replica.role, REPLICA_STOPPED);
    CHECK_INT(paper.counts.stops, 1);
    CHECK_INT(paper.counts.truncations, 0);
    CHECK_INT(node->log.offset_end, 10);
    paper_deliver(&paper, 0, false);
    CHECK_INT(node->replica.effect_count, 0);
}

/* D learns: it gets everything and says what it has, and is never counted. Its disk and the
 * leader's are two, and yet a is not committed until a voter has it. */
TEST(scenario, brings_a_learner_level_and_does_not_count_it)
{
    static const char table[] =
        "step                A             B             C             D\n"
        "stand A             P0:|          .             .             .\n"
        "talk                L1A:1Ao|      F1A:|1Ao      F1A:|1Ao      F1A:|1Ao\n"
        "append A a          L1A:1Ao|/a    .             .             .\n"
        "talk AD             L1A:1Ao|a     .             .             F1A:1Ao|a\n"
        "hand A>D            .             .             .             .\n"
        "append A b          L1A:1Ao|a/b   .             .             .\n"
        "talk                L1A:1Aoab|    F1A:1Ao|ab    F1A:1Ao|ab    F1A:1Ao|ab\n"
        "beat A              .             .             .             .\n"
        "drop A>B, drop A>C  .             .             .             .\n"
        "talk AD             .             .             .             F1A:1Aoab|\n"
        "crash A             down:1Aoab    .             .             .\n"
        "wait 30             .             .             .             .\n"
        "look D              .             .             .             .\n"
        "stand B             .             P1A:1Ao|ab    .             .\n"
        "talk BD             .             .             .             .\n"
        "talk BCD            .             L2B:1Aoab2Bo| F2B:1Ao|ab2Bo F2B:1Aoab|2Bo\n";
    scripted_play_with(3, 1, 2, table);
}

/* A cuts a for B, which leads; and yet a comes to be committed: B falls, and E, which has a, is
 * elected by those who have neither. So it says nothing of a record that it was cut at home: it is
 * lost when something else is committed in its place, and not before. */
TEST(scenario, may_commit_what_a_deposed_leader_has_cut)
{
    static const char table[] =
        "step                        A            B            C             D             E\n"
        "stand A                     P0:|         .            .             .             .\n"
        "talk                        L1A:1Ao|     F1A:|1Ao     F1A:|1Ao      F1A:|1Ao      "
        "F1A:|1Ao\n"
        "append A a                  L1A:1Ao|/a   .            .             .             .\n"
        "A>E, flush E                .            .            .             .             "
        "F1A:1Ao|a\n"
        "drop A, drop E              .            .            .             .             .\n"
        "wait 12                     .            .            .             .             .\n"
        "stand B                     .            P1A:|1Ao     .             .             .\n"
        "B>C, C>B, B>D, D>B, flush B .            C2B:|1Ao     .             .             .\n"
        "drop B>A, drop B>E          .            .            .             .             .\n"
        "B>C, B>D, flush C, flush D  .            .            F2B:|1Ao      F2B:|1Ao      .\n"
        "C>B, D>B                    .            L2B:|1Ao/2Bo .             .             .\n"
        "talk AB                     F2B:1Ao|2Bo  L2B:|1Ao2Bo  .             .             .\n"
        "crash B                     .            down:1Ao2Bo  .             .             .\n"
        "drop A, drop B              .            .            .             .             .\n"
        "wait 12                     .            .            .             .             .\n"
        "stand E                     .            .            .             .             "
        "P1A:1Ao|a\n"
        "talk CDE                    .            .            F2E:1Ao|a2Eo  F2E:1Ao|a2Eo  "
        "L2E:1Aoa2Eo|\n"
        "wait 6, look E, talk        F2E:1Aoa2Eo| .            .             .             .\n";
    scripted_play(5, 3, table);
}
