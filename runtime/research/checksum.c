/* checksum.c - CRC-32 by eight tables ("slicing-by-8", Kounavis and Berry 2005). */
#include "runtime/research/checksum.h"

#define POLYNOMIAL UINT32_C(0xedb88320) /* reflected */

void checksum_init(struct checksum *checksum)
{
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t rest = byte;
        for (int bit = 0; bit < 8; bit++)
            rest = (rest >> 1) ^ (rest & 1 ? POLYNOMIAL : 0);
        checksum->table[0][byte] = rest;
    }
    for (int step = 1; step < 8; step++)
        for (uint32_t byte = 0; byte < 256; byte++) {
            uint32_t rest = checksum->table[step - 1][byte];
            checksum->table[step][byte] = (rest >> 8) ^ checksum->table[0][rest & 0xff];
        }
    checksum->state = UINT32_MAX;
    checksum->length = 0;
}

void checksum_update(struct checksum *checksum, const void *bytes, size_t length)
{
    uint32_t(*table)[256] = checksum->table;
    const unsigned char *at = bytes;
    uint32_t state = checksum->state;
    checksum->length += length;
    for (; length >= 8; length -= 8, at += 8)
        state = table[7][(state ^ at[0]) & 0xff] ^ table[6][(state >> 8 ^ at[1]) & 0xff] ^
                table[5][(state >> 16 ^ at[2]) & 0xff] ^ table[4][state >> 24 ^ at[3]] ^
                table[3][at[4]] ^ table[2][at[5]] ^ table[1][at[6]] ^ table[0][at[7]];
    for (; length > 0; length--, at++)
        state = (state >> 8) ^ table[0][(state ^ *at) & 0xff];
    checksum->state = state;
}

uint32_t checksum_value(const struct checksum *checksum)
{
    return ~checksum->state;
}
