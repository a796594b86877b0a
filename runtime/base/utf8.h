/* utf8.h - where a UTF-8 character ends: for cutting and escaping text inside this room. */
#ifndef RUNTIME_BASE_UTF8_H
#define RUNTIME_BASE_UTF8_H

#include "runtime/base/base.h"

/* Bytes of the well-formed character at the start of `bytes` (1..4), 0 when there is none: a bad or
 * cut sequence, an overlong one, a surrogate, or beyond U+10FFFF.
 * Source: Unicode 15, table 3-7 "Well-Formed UTF-8 Byte Sequences". */
static inline size_t utf8_length(const char *bytes, size_t length)
{
    const unsigned char *b = (const unsigned char *)bytes;
    if (length == 0)
        return 0;
    if (b[0] < 0x80)
        return 1;
    if (b[0] < 0xc2 || b[0] > 0xf4)
        return 0;

    size_t need = b[0] < 0xe0 ? 2 : b[0] < 0xf0 ? 3 : 4;
    if (length < need)
        return 0;
    unsigned low = b[0] == 0xe0 ? 0xa0 : b[0] == 0xf0 ? 0x90 : 0x80;
    unsigned high = b[0] == 0xed ? 0x9f : b[0] == 0xf4 ? 0x8f : 0xbf;
    if (b[1] < low || b[1] > high)
        return 0;
    for (size_t i = 2; i < need; i++)
        if ((b[i] & 0xc0) != 0x80)
            return 0;
    return need;
}

/* The longest prefix of at most `limit` bytes that does not cut a character in two. */
static inline size_t utf8_cut(const char *bytes, size_t length, size_t limit)
{
    if (length <= limit)
        return length;
    size_t cut = limit;
    for (int back = 0; back < 3 && cut > 0 && ((unsigned char)bytes[cut] & 0xc0) == 0x80; back++)
        cut--;
    return utf8_length(bytes + cut, length - cut) > limit - cut ? cut : limit;
}

#endif
