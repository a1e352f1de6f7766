/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changes of members, each as a table: replication/peers.c, and what replication/leader.c does
 * about them. A node that is in no configuration stands in the last columns. How to read one:
 * scripted.h.
 */
#include "lib/case.h"
#include "scripted.h"

/* D takes C's place. The joint configuration (&) needs two of A, B, C and two of A, B, D; when it
 * is settled the final one (=) follows by itself, and counts without C. */
TEST(members, replaces_a_voter)
{
    static const char table[] =
        "step              A                 B                 C                 D\n"
        "stand A           P0:|              .                 .                 .\n"
        "talk              L1A:1Ao|          F1A:|1Ao          F1A:|1Ao          .\n"
        "members ABD       L1A:1Ao|/&        .                 .                 .\n"
        "A>B, A>C          .                 F1A:1Ao|/&        F1A:1Ao|/&        .\n"
        "flush A, flush B  L1A:1Ao|&         F1A:1Ao|&         .                 .\n"
        "B>A               L1A:1Ao&|/=       .                 .                 .\n"
        "talk AD           L1A:1Ao&=|        .                 .                 F1A:1Ao&|=\n"
        "talk ABD          .                 F1A:1Ao&|=        .                 .\n"
        "crash C           .                 .                 down:1Ao          .\n"
        "append A a        L1A:1Ao&=|/a      .                 .                 .\n"
        "talk ABD          L1A:1Ao&=a|       F1A:1Ao&=|a       .                 F1A:1Ao&=|a\n"
        "beat A            .                 .                 .                 .\n"
        "talk ABD          L+1A:1Ao&=a|      F1A:1Ao&=a|       .                 F1A:1Ao&=a|\n";
    scripted_play(3, 2, table);
}

/* A and B are two of the old voters, and only one of the new: a is committed when D has it, too. */
TEST(members, needs_both_configurations_to_commit)
{
    static const char table[] =
        "step         A                 B                 C                 D                 E\n"
        "stand A      P0:|              .                 .                 .                 .\n"
        "talk         L1A:1Ao|          F1A:|1Ao          F1A:|1Ao          .                 .\n"
        "members ADE  L1A:1Ao|/&        .                 .                 .                 .\n"
        "append A a   L1A:1Ao|/&a       .                 .                 .                 .\n"
        "talk ABC     L1A:1Ao|&a        F1A:1Ao|&a        F1A:1Ao|&a        .                 .\n"
        "talk AD      L1A:1Ao&a=|       .                 .                 F1A:1Ao&a|=       .\n"
        "talk AD      .                 .                 .                 .                 .\n";
    scripted_play(3, 2, table);
}

/* A strikes itself off. It leads until that is committed, by the disks of B and C alone, and at its
 * next look tells the voter that has most to stand: nobody waits for a timeout. */
TEST(members, leads_on_until_it_has_struck_itself_off)
{
    static const char table[] =
        "step            A                 B                 C\n"
        "stand A         P0:|              .                 .\n"
        "talk            L1A:1Ao|          F1A:|1Ao          F1A:|1Ao\n"
        "members BC      L1A:1Ao|/&        .                 .\n"
        "talk AB         L1A:1Ao|&         F1A:1Ao|&         .\n"
        "talk BC         .                 .                 .\n"
        "append A a      L1A:1Ao|&/a       .                 .\n"
        "talk            L1A:1Ao&a=|       F1A:1Ao&|a=       F1A:1Ao&|a=\n"
        "wait 3, look A  F1A:1Ao&a=|       .                 .\n"
        "A>B, flush B    .                 L2B:1Ao&|a=/2Bo   .\n"
        "talk BC         .                 L2B:1Ao&a=2Bo|    F2B:1Ao&|a=2Bo\n"
        "append B b      .                 L2B:1Ao&a=2Bo|/b  .\n"
        "talk BC         .                 L2B:1Ao&a=2Bob|   F2B:1Ao&a=2Bo|b\n";
    scripted_play(3, 2, table);
}

/* A alone has the batch that would make it a cluster of A, D and E, and E and D would elect it. B,
 * elected by the old voters, cuts it: A goes by the old ones again, and D is nobody to it. */
TEST(members, restores_the_configuration_when_its_batch_is_cut)
{
    static const char table[] = "step              A                 B                 C           "
                                "      D                 E\n"
                                "stand A           P0:|              .                 .           "
                                "      .                 .\n"
                                "talk              L1A:1Ao|          F1A:|1Ao          F1A:|1Ao    "
                                "      .                 .\n"
                                "cut A-B, cut A-C  .                 .                 .           "
                                "      .                 .\n"
                                "members ADE       L1A:1Ao|/&        .                 .           "
                                "      .                 .\n"
                                "flush A           L1A:1Ao|&         .                 .           "
                                "      .                 .\n"
                                "talk AD           .                 .                 .           "
                                "      F1A:1Ao|&         .\n"
                                "append A a        L1A:1Ao|&/a       .                 .           "
                                "      .                 .\n"
                                "flush A           L1A:1Ao|&a        .                 .           "
                                "      .                 .\n"
                                "wait 12           .                 .                 .           "
                                "      .                 .\n"
                                "stand B           .                 P1A:|1Ao          .           "
                                "      .                 .\n"
                                "talk BC           .                 L2B:1Ao2Bo|       F2B:|1Ao2Bo "
                                "      .                 .\n"
                                "append B b        .                 L2B:1Ao2Bo|/b     .           "
                                "      .                 .\n"
                                "talk BC           .                 L2B:1Ao2Bob|      "
                                "F2B:1Ao2Bo|b      .                 .\n"
                                "cut A-D, cut A-E  .                 .                 .           "
                                "      .                 .\n"
                                "crash D, crash E  .                 .                 .           "
                                "      down:1Ao&         down:\n"
                                "heal              .                 .                 .           "
                                "      .                 .\n"
                                "wait 6, look B    .                 .                 .           "
                                "      .                 .\n"
                                "talk ABC          F2B:1Ao2Bob|      .                 .           "
                                "      .                 .\n"
                                "crash B, wait 12  .                 down:1Ao2Bob      .           "
                                "      .                 .\n"
                                "stand A           P2B:1Ao2Bob|      .                 .           "
                                "      .                 .\n"
                                "talk AC           L3A:1Ao2Bob3Ao|   .                 "
                                "F3A:1Ao2Bob|3Ao   .                 .\n";
    scripted_play(3, 2, table);
}

/* B is all that is left of A and B, but A alone has the batch that says so, and is no voter by it:
 * unless A stands, nobody can ever win. It leads until B has that batch. */
TEST(members, stands_although_it_is_struck_off)
{
    static const char table[] = "step                A                 B\n"
                                "stand A             C1A?:|            .\n"
                                "talk                L+1A:1Ao|         .\n"
                                "members B           L1A:1Ao|/&        .\n"
                                "flush A             L1A:1Ao|&         .\n"
                                "A>B, flush B, B>A   .                 F1A:|\n"
                                "A>B, B>A            .                 .\n"
                                "A>B, flush B, B>A   L1A:1Ao&|/=       F1A:1Ao|&\n"
                                "flush A             L1A:1Ao&|=        .\n"
                                "crash A             down:1Ao&=        .\n"
                                "drop A>B, drop B>A  .                 .\n"
                                "wait 20             .                 .\n"
                                "stand B             .                 P1A:1Ao|&\n"
                                "start A             F1A:|1Ao&=        .\n"
                                "wait 20             .                 .\n"
                                "stand B             .                 .\n"
                                "talk                .                 .\n"
                                "stand A             P1A:|1Ao&=        .\n"
                                "talk                L2A:1Ao&=2Ao|     F2A:1Ao|&=2Ao\n"
                                "wait 3, look A      F2A:1Ao&=2Ao|     .\n"
                                "talk                .                 L+3B:1Ao&=2Ao3Bo|\n";
    scripted_play(1, 1, table);
}

/* C was away while C, D and E took over, and neither D nor E is in a configuration that C knows. D
 * sends batches all the same, and they say why. */
TEST(members, listens_to_a_leader_it_does_not_know)
{
    static const char table[] = "step              A                 B                 C           "
                                "      D                 E\n"
                                "stand A           P0:|              .                 .           "
                                "      .                 .\n"
                                "talk              L1A:1Ao|          F1A:|1Ao          F1A:|1Ao    "
                                "      .                 .\n"
                                "cut A-C, cut B-C  .                 .                 .           "
                                "      .                 .\n"
                                "members CDE       L1A:1Ao|/&        .                 .           "
                                "      .                 .\n"
                                "talk              L1A:1Ao&=|        F1A:1Ao&|=        .           "
                                "      F1A:1Ao&|=        F1A:1Ao&|=\n"
                                "talk              .                 .                 .           "
                                "      .                 .\n"
                                "wait 3, look A    F1A:1Ao&=|        .                 .           "
                                "      .                 .\n"
                                "talk              .                 .                 "
                                "F2D:1Ao&=2Do|     L2D:1Ao&=2Do|     F2D:1Ao&|=2Do\n";
    scripted_play(3, 2, table);
}

/* B is the only voter by now, and has confirmed the lease of A, which leaves but has not left. When
 * B falls and comes back, it waits before it stands like any other. */
TEST(members, is_bound_to_a_leader_that_leaves)
{
    static const char table[] = "step              A                 B\n"
                                "stand A           P0:|              .\n"
                                "talk              L1A:1Ao|          F1A:|1Ao\n"
                                "members B         L1A:1Ao|/&        .\n"
                                "talk              L1A:1Ao&=|        F1A:1Ao&|=\n"
                                "beat A            .                 .\n"
                                "talk              L+1A:1Ao&=|       F1A:1Ao&=|\n"
                                "crash B, start B  .                 F1A:|1Ao&=\n"
                                "look B            .                 .\n"
                                "stand B           L1A:1Ao&=|        C2B?:|1Ao&=\n";
    scripted_play(2, 2, table);
}

/* C was away and does not know that it is no voter any more. Who knows it to be committed says so
 * when C asks, and C asks no more, until it is admitted again. */
TEST(members, are_told_that_they_are_removed)
{
    static const char table[] =
        "step                A                 B                 C                 D\n"
        "stand A             P0:|              .                 .                 .\n"
        "talk                L1A:1Ao|          F1A:|1Ao          F1A:|1Ao          .\n"
        "cut A-C, cut B-C    .                 .                 .                 .\n"
        "members ABD         L1A:1Ao|/&        .                 .                 .\n"
        "talk                L1A:1Ao&=|        F1A:1Ao&|=        .                 F1A:1Ao&=|\n"
        "talk                .                 .                 .                 .\n"
        "heal                .                 .                 .                 .\n"
        "drop A>C, drop B>C  .                 .                 .                 .\n"
        "wait 12, stand C    .                 .                 P1A:|1Ao          .\n"
        "C>>A, A>>C          .                 .                 R1A:|1Ao          .\n"
        "wait 30, look C     .                 .                 .                 .\n"
        "beat A, talk ABD    L+1A:1Ao&=|       F1A:1Ao&=|        .                 .\n"
        "members ABCD        L+1A:1Ao&=|/&     .                 .                 .\n"
        "talk                L+1A:1Ao&=&=|     F1A:1Ao&=&|=      F1A:1Ao&=&=|      F1A:1Ao&=&|=\n"
        "talk                .                 .                 .                 .\n";
    scripted_play(3, 2, table);
}
