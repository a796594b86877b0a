/* hash.c - SHA-256 by OpenSSL, and the mixing functions. */
#include "runtime/base/hash.h"

#include <openssl/evp.h>
#include <stdlib.h>

struct sha256 {
    EVP_MD_CTX *context;
};

/* OpenSSL fails here only without memory, or when the algorithm is not there at all: then nothing
 * we sign or record could be trusted, hence the assertions. */
struct sha256 *sha256_open(void)
{
    struct sha256 *hash = memory_new(sizeof(*hash));
    hash->context = EVP_MD_CTX_new();
    ASSERT(hash->context);
    ASSERT(EVP_DigestInit_ex(hash->context, EVP_sha256(), NULL) == 1);
    return hash;
}

void sha256_update(struct sha256 *hash, const void *bytes, size_t length)
{
    ASSERT(EVP_DigestUpdate(hash->context, bytes, length) == 1);
}

static void to_hex(const unsigned char *digest, size_t length, char *hex)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < length; i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    hex[2 * length] = '\0';
}

void sha256_finish(struct sha256 *hash, char hex[SHA256_TEXT_MAX])
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned length = 0;
    ASSERT(EVP_DigestFinal_ex(hash->context, digest, &length) == 1);
    ASSERT(2 * length + 1 == SHA256_TEXT_MAX);
    to_hex(digest, length, hex);
    EVP_MD_CTX_free(hash->context);
    free(hash);
}

void sha256_hex(const void *bytes, size_t length, char hex[SHA256_TEXT_MAX])
{
    struct sha256 *hash = sha256_open();
    sha256_update(hash, bytes, length);
    sha256_finish(hash, hex);
}

static uint64_t mix(uint64_t z)
{
    z += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

uint64_t hash64(uint64_t a, uint64_t b, uint64_t c)
{
    return mix(mix(mix(a) ^ b) ^ c);
}

uint64_t hash64_bytes(const void *bytes, size_t length)
{
    const unsigned char *b = bytes;
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < length; i++)
        hash = (hash ^ b[i]) * UINT64_C(0x100000001b3);
    return mix(hash); /* FNV's low bits are weak, and tables index by them */
}
