/* checksum.h - the CRC-32 of gzip (RFC 1952 section 8), eight bytes a step.
 *
 * libarchive unpacks gzip without comparing it: a flipped bit would change a price unseen. */
#ifndef RUNTIME_RESEARCH_CHECKSUM_H
#define RUNTIME_RESEARCH_CHECKSUM_H

#include "runtime/base/base.h"

struct checksum {
    uint32_t table[8][256];
    uint32_t state;
    uint64_t length; /* bytes taken */
};

void checksum_init(struct checksum *checksum);
void checksum_update(struct checksum *checksum, const void *bytes, size_t length);
uint32_t checksum_value(const struct checksum *checksum);

#endif
