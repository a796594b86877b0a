/* base.c - assertions and the allocations that may not fail. */
#include "runtime/base/base.h"

#include <stdio.h>
#include <stdlib.h>

void assert_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "runtime: internal error at %s:%d: %s does not hold\n", file, line, condition);
    abort();
}

NORETURN static void out_of_memory(size_t size)
{
    fprintf(stderr, "runtime: out of memory (%zu more bytes wanted)\n", size);
    abort();
}

void *memory_new(size_t size)
{
    void *block = calloc(1, size ? size : 1);
    if (!block)
        out_of_memory(size);
    return block;
}

void *memory_grow(void *block, size_t *capacity, size_t need, size_t element)
{
    if (block && need <= *capacity)
        return block;

    size_t wanted = *capacity ? *capacity : 8;
    while (wanted < need && wanted <= SIZE_MAX / 2)
        wanted *= 2;

    size_t bytes;
    if (wanted < need || __builtin_mul_overflow(wanted, element, &bytes))
        out_of_memory(SIZE_MAX);

    void *grown = realloc(block, bytes ? bytes : 1);
    if (!grown)
        out_of_memory(bytes);
    *capacity = wanted;
    return grown;
}
