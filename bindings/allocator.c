/* allocator.c - memory of one state: a cap, and a cap on the hash part of one table.
 *
 * Lua asks again after an emergency collection, so a refusal is not yet an error; each costs a full
 * collection, which is why their number in one call is bounded. A hash part is a block that is no
 * object (old_size 0 beside a NULL block) of slot size times a power of two. One rehash of
 * colliding keys is a single instruction whose time grows with the square of the slots: 5.7 s were
 * measured at 131,072. Lists live in the array part and are not concerned. */
#include "bindings/sandbox_internal.h"

#include <stdlib.h>
#include <string.h>

static bool is_power_of_two(size_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

static bool is_large_hash_part(const struct allocator *allocator, size_t size)
{
    return allocator->nodes_max != 0 && size > allocator->nodes_max * allocator->node_size &&
           size % allocator->node_size == 0 && is_power_of_two(size / allocator->node_size);
}

static bool is_chosen_to_fail(struct allocator *allocator)
{
    if (allocator->fail_at == 0)
        return false;
    allocator->count++;
    return allocator->fail_on ? allocator->count >= allocator->fail_at
                              : allocator->count == allocator->fail_at;
}

static void *refuse(struct allocator *allocator, bool slots)
{
    struct sandbox *sandbox = allocator->owner;
    allocator->refused_slots = slots;
    if (sandbox->depth == 0)
        return NULL;
    /* Lua reports memory errors without calling a message handler: the place is taken here. While
     * it unwinds it asks again, for a smaller stack, and no script line runs. */
    char where[sizeof sandbox->memory_where];
    failure_place(sandbox->running, where, sizeof where);
    if (where[0])
        memcpy(sandbox->memory_where, where, sizeof where);
    if (++allocator->refusals > REFUSALS_MAX) {
        allocator->stopped = true;
        if (sandbox->stop == STOP_NONE)
            sandbox->stop = STOP_MEMORY;
    }
    return NULL;
}

void *allocator_run(void *self, void *block, size_t old_size, size_t new_size)
{
    struct allocator *allocator = self;
    size_t held = block ? old_size : 0;
    if (new_size == 0) {
        free(block);
        allocator->used -= held;
        return NULL;
    }

    if (new_size > held) {
        size_t more = new_size - held;
        if (is_chosen_to_fail(allocator))
            return NULL;
        if (allocator->stopped || allocator->used > allocator->limit ||
            more > allocator->limit - allocator->used)
            return refuse(allocator, false);
        if (!block && old_size == 0) {
            if (is_large_hash_part(allocator, new_size))
                return refuse(allocator, true);
            allocator->last_vector = new_size;
        }
    }

    void *moved = realloc(block, new_size);
    if (!moved)
        return new_size <= held ? block : NULL; /* shrinking never fails */
    allocator->used = allocator->used - held + new_size;
    return moved;
}

void allocator_measure(lua_State *L, struct allocator *allocator, uint32_t table_slots)
{
    lua_createtable(L, 0, 64);
    allocator->node_size = allocator->last_vector / 64;
    lua_pop(L, 1);
    ASSERT(allocator->node_size >= 16 && allocator->node_size <= 64);
    allocator->nodes_max = table_slots;
}
