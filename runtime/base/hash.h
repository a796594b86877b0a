/* hash.h - SHA-256 (OpenSSL) for content, a small fast hash for tables. */
#ifndef RUNTIME_BASE_HASH_H
#define RUNTIME_BASE_HASH_H

#include "runtime/base/base.h"

#define SHA256_TEXT_MAX 65 /* 64 lower-case hex digits and NUL */

struct sha256; /* opaque */
struct sha256 *sha256_open(void);
void sha256_update(struct sha256 *hash, const void *bytes, size_t length);
void sha256_finish(struct sha256 *hash, char hex[SHA256_TEXT_MAX]); /* closes it */
void sha256_hex(const void *bytes, size_t length, char hex[SHA256_TEXT_MAX]);

/* Mixes three words into one (splitmix64 finaliser): the source of counter-based randomness. */
uint64_t hash64(uint64_t a, uint64_t b, uint64_t c);
uint64_t hash64_bytes(const void *bytes, size_t length); /* FNV-1a, then mixed; same on every run */

#endif
