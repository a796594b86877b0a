/* base.h - the few words every file uses: assertions, sizes, attributes.
 *
 * ASSERT stays on in release builds: it guards against our own bugs, and a stopped trader beats a
 * wrong one. The world's faults (user, venue, disk) are never asserted; they are `struct error`. */
#ifndef RUNTIME_BASE_BASE_H
#define RUNTIME_BASE_BASE_H

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(at, first) __attribute__((format(printf, at, first)))
#define NORETURN __attribute__((noreturn))

#define NS_PER_SECOND INT64_C(1000000000)
#define NS_PER_MS INT64_C(1000000)
#define NS_PER_MINUTE (60 * NS_PER_SECOND)
#define NS_PER_HOUR (60 * NS_PER_MINUTE)
#define NS_PER_DAY (86400 * NS_PER_SECOND)
#define TIME_NEVER INT64_MAX /* an instant that does not come */

/* Prints file, line and the broken condition to stderr and aborts. */
NORETURN void assert_failed(const char *condition, const char *file, int line);

#define ASSERT(condition) ((condition) ? (void)0 : assert_failed(#condition, __FILE__, __LINE__))

/* Allocation that ends the process when memory is out: for what is made at start. */
void *memory_new(size_t size);                                                 /* zeroed */
void *memory_grow(void *block, size_t *capacity, size_t need, size_t element); /* doubles */

#endif
