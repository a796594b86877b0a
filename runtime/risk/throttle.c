/* throttle.c - exact sliding windows over a ring of times. */
#include "runtime/risk/throttle.h"

#include <math.h>
#include <stdlib.h>

void throttle_init(struct throttle *throttle, uint32_t size)
{
    ASSERT(size <= THROTTLE_MAX);
    *throttle = (struct throttle){ .size = size };
    if (size > 0)
        throttle->times = memory_new(2 * (size_t)size * sizeof(*throttle->times));
}

void throttle_release(struct throttle *throttle)
{
    free(throttle->times);
    *throttle = (struct throttle){ 0 };
}

/* The time of the newest event (back = 1), of the one before it (2), ... */
static int64_t time_of(const struct throttle *throttle, uint32_t back)
{
    uint32_t at = throttle->next;
    return throttle->times[at >= back ? at - back : at + 2 * throttle->size - back];
}

void throttle_note(struct throttle *throttle, int64_t now_ns)
{
    if (throttle->size == 0)
        return;
    if (throttle->count > 0 && time_of(throttle, 1) > now_ns)
        now_ns = time_of(throttle, 1);
    throttle->times[throttle->next] = now_ns;
    throttle->next = (throttle->next + 1) % (2 * throttle->size);
    throttle->count++;
    if (throttle->most < throttle->count)
        throttle->most = throttle->count;
}

/* The ring has lost what lies further than twice its size below the most that ever was: from there
 * `size` may be taken back, so that the newest `size` of what is left are known. */
void throttle_take_back(struct throttle *throttle, uint32_t count)
{
    if (throttle->size == 0)
        return;
    ASSERT(count <= throttle->count);
    uint32_t known = throttle->size - (uint32_t)(throttle->most - throttle->count);
    if (count > known)
        count = known;
    uint32_t at = throttle->next;
    throttle->next = at >= count ? at - count : at + 2 * throttle->size - count;
    throttle->count -= count;
}

void throttle_adopt(struct throttle *throttle, const struct throttle *from)
{
    uint64_t known = 2 * (uint64_t)from->size - (from->most - from->count);
    for (uint64_t back = from->count < known ? from->count : known; back > 0; back--)
        throttle_note(throttle, time_of(from, (uint32_t)back));
}

/* Whether it was later than now - window, where that difference may not be a time. */
static bool is_within(int64_t time_ns, int64_t now_ns, int64_t window_ns)
{
    return time_ns > now_ns || (uint64_t)now_ns - (uint64_t)time_ns < (uint64_t)window_ns;
}

/* The times are in order, so the newest that are within are found by halves. */
uint32_t throttle_within(const struct throttle *throttle, int64_t now_ns, int64_t window_ns,
                         uint32_t most)
{
    uint32_t low = 0, high = most < throttle->size ? most : throttle->size;
    if (high > throttle->count)
        high = (uint32_t)throttle->count;
    while (low < high) {
        uint32_t middle = high - (high - low) / 2;
        if (is_within(time_of(throttle, middle), now_ns, window_ns))
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

bool throttle_is_full(const struct throttle *throttle, int64_t now_ns, int64_t window_ns,
                      uint32_t most)
{
    ASSERT(most > 0 && most <= throttle->size);
    return throttle->count >= most && is_within(time_of(throttle, most), now_ns, window_ns);
}

/* 20 * 0.35 is a little more than 7: a billionth above a whole number is that number. */
uint32_t throttle_for_orders(uint32_t limit, double reserve)
{
    ASSERT(limit > 0 && reserve >= 0 && reserve < 1);
    double kept = ceil(limit * reserve - 1e-9);
    return kept < limit ? limit - (uint32_t)kept : 1;
}
