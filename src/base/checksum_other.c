/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base/checksum_other - CRC32C on a machine that is not x86-64: the table way answers for all.
 */
#include "base/checksum.h"

bool checksum_has_instruction(void)
{
    return false;
}

uint32_t checksum_crc32c_serial(uint32_t seed_crc, struct bytes data)
{
    return checksum_crc32c_table(seed_crc, data);
}

uint32_t checksum_crc32c_fold(uint32_t seed_crc, struct bytes data)
{
    return checksum_crc32c_table(seed_crc, data);
}
