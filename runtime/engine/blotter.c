/* blotter.c - see blotter.h. */
#include "runtime/engine/blotter.h"

#include <stdlib.h>
#include <string.h>

#include "runtime/base/map.h"
#include "runtime/base/text.h"

#define ALIASES_MAX                                                                                \
    64 /* of one order: it can be replaced so often and still be found by old names */

struct entry {
    struct order order; /* first: a pointer to it is one to the entry */
    struct stake stake;
    char (*aliases)[CLIENT_ORDER_ID_MAX];
    size_t alias_count, alias_capacity;
};

struct list {
    struct order **items;
    size_t count, capacity;
};

struct blotter {
    struct list all;  /* by id, ascending */
    struct list open; /* those with order_is_open */
    struct map *by_client;
    size_t open_max, done_kept;
};

static struct entry *entry_of(struct order *order)
{
    return (struct entry *)order;
}

static void release(struct blotter *blotter, struct order *order)
{
    struct entry *entry = entry_of(order);
    map_remove(blotter->by_client, order->client_order_id);
    for (size_t i = 0; i < entry->alias_count; i++)
        map_remove(blotter->by_client, entry->aliases[i]);
    free(entry->aliases);
    free(entry);
}

static void list_append(struct list *list, struct order *order)
{
    list->items =
        memory_grow(list->items, &list->capacity, list->count + 1, sizeof(struct order *));
    list->items[list->count++] = order;
}

/* The first index whose order id is not below. */
static size_t list_lower_bound(const struct list *list, uint64_t order_id)
{
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (list->items[middle]->order_id < order_id)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool list_holds(const struct list *list, uint64_t order_id, size_t *index)
{
    *index = list_lower_bound(list, order_id);
    return *index < list->count && list->items[*index]->order_id == order_id;
}

static void list_remove(struct list *list, size_t index)
{
    list->count--;
    memmove(&list->items[index], &list->items[index + 1],
            (list->count - index) * sizeof(struct order *));
}

static void list_insert(struct list *list, size_t index, struct order *order)
{
    list_append(list, order);
    memmove(&list->items[index + 1], &list->items[index],
            (list->count - 1 - index) * sizeof(struct order *));
    list->items[index] = order;
}

struct blotter *blotter_open(size_t open_max, size_t done_kept)
{
    struct blotter *blotter = memory_new(sizeof(*blotter));
    blotter->by_client = map_open();
    blotter->open_max = open_max;
    blotter->done_kept = done_kept;
    return blotter;
}

void blotter_close(struct blotter *blotter)
{
    if (!blotter)
        return;
    for (size_t i = 0; i < blotter->all.count; i++)
        release(blotter, blotter->all.items[i]);
    free(blotter->all.items);
    free(blotter->open.items);
    map_close(blotter->by_client);
    free(blotter);
}

struct order *blotter_add(struct blotter *blotter, const struct order *order)
{
    if (blotter->open.count >= blotter->open_max)
        return NULL;
    /* New orders come last; at a restart the ledger tells them instance by instance. */
    size_t index, open_index;
    ASSERT(!list_holds(&blotter->all, order->order_id, &index));
    struct order *copy = &((struct entry *)memory_new(sizeof(struct entry)))->order;
    *copy = *order;
    entry_of(copy)->stake.price = entry_of(copy)->stake.reference = DECIMAL_NONE;
    list_insert(&blotter->all, index, copy);
    if (order_is_open(copy) && !list_holds(&blotter->open, copy->order_id, &open_index))
        list_insert(&blotter->open, open_index, copy);
    map_put(blotter->by_client, copy->client_order_id, copy->order_id);
    blotter_alias(blotter, copy, copy->current_client_order_id);
    blotter_alias(blotter, copy, copy->pending_client_order_id);
    return copy;
}

struct stake *blotter_stake(struct order *order)
{
    return &entry_of(order)->stake;
}

void blotter_alias(struct blotter *blotter, struct order *order, const char *client_order_id)
{
    struct entry *entry = entry_of(order);
    uint64_t known;
    if (client_order_id[0] == '\0' || entry->alias_count >= ALIASES_MAX ||
        map_get(blotter->by_client, client_order_id, &known))
        return;
    entry->aliases = memory_grow(entry->aliases, &entry->alias_capacity, entry->alias_count + 1,
                                 sizeof(*entry->aliases));
    text_copy(entry->aliases[entry->alias_count++], CLIENT_ORDER_ID_MAX, client_order_id);
    map_put(blotter->by_client, client_order_id, order->order_id);
}

static void forget(struct blotter *blotter, size_t index)
{
    struct order *order = blotter->all.items[index];
    size_t open_index;
    if (list_holds(&blotter->open, order->order_id, &open_index))
        list_remove(&blotter->open, open_index);
    list_remove(&blotter->all, index);
    release(blotter, order);
}

void blotter_drop(struct blotter *blotter, uint64_t order_id)
{
    size_t index;
    if (list_holds(&blotter->all, order_id, &index))
        forget(blotter, index);
}

struct order *blotter_find(const struct blotter *blotter, uint64_t order_id)
{
    size_t index;
    return list_holds(&blotter->all, order_id, &index) ? blotter->all.items[index] : NULL;
}

struct order *blotter_find_client(const struct blotter *blotter, const char *client_order_id)
{
    uint64_t order_id;
    if (!map_get(blotter->by_client, client_order_id, &order_id))
        return NULL;
    return blotter_find(blotter, order_id);
}

void blotter_update(struct blotter *blotter, struct order *order)
{
    size_t index;
    bool listed = list_holds(&blotter->open, order->order_id, &index);
    if (order_is_open(order) && !listed)
        list_insert(&blotter->open, index, order);
    else if (!order_is_open(order) && listed)
        list_remove(&blotter->open, index);
}

/* One pass over the list whenever twice as many finished orders are kept as promised, so that the
 * cost of a finished order stays constant. */
void blotter_prune(struct blotter *blotter)
{
    size_t done = blotter->all.count - blotter->open.count;
    if (done <= 2 * blotter->done_kept)
        return;
    size_t surplus = done - blotter->done_kept, kept = 0;
    for (size_t i = 0; i < blotter->all.count; i++) {
        struct order *order = blotter->all.items[i];
        if (surplus > 0 && !order_is_open(order)) {
            release(blotter, order);
            surplus--;
        } else {
            blotter->all.items[kept++] = order;
        }
    }
    blotter->all.count = kept;
}

size_t blotter_open_count(const struct blotter *blotter)
{
    return blotter->open.count;
}

struct order *blotter_open_at(const struct blotter *blotter, size_t index)
{
    return blotter->open.items[index];
}

size_t blotter_count(const struct blotter *blotter)
{
    return blotter->all.count;
}

struct order *blotter_at(const struct blotter *blotter, size_t index)
{
    return blotter->all.items[index];
}
