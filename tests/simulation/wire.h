/* wire.h - what lies between the engine and the exchange: time, loss, repetition, lies.
 *
 * Fills a struct venue_port. Requests, answers, the private and the public stream are channels of
 * their own; each keeps its order unless a fault says otherwise, and none waits for another. It
 * outlives the engine's process: what was sent before a kill still arrives. */
#ifndef SIMULATION_WIRE_H
#define SIMULATION_WIRE_H

#include "runtime/engine/ports.h"
#include "tests/simulation/exchange.h"
#include "tests/simulation/faults.h"

#define PRICE_SCALE 2 /* digits of a tick, and of event prices */
#define QTY_SCALE 3   /* digits of a lot */

enum wire_send { SEND_SUBMIT, SEND_CANCEL, SEND_AMEND, SEND_QUERY };

/* Who looks on. Any may be NULL but none may change anything. */
struct wire_watch {
    void *self;
    /* Before anything leaves. False: the process ends here (and *after says whether it left). */
    bool (*send)(void *self, enum wire_send kind, const struct order *order,
                 const struct venue_query *query, decimal qty, decimal price, bool *left);
    void (*event)(void *self, const struct event *event, enum fault fault /* FAULTS: none */);
    void (*fault)(void *self, enum fault fault, const char *client_order_id /* "": no order */);
};

struct wire; /* opaque */

struct wire_options {
    struct exchange *exchange;
    struct fault_plan plan;
    struct wire_watch watch;
    uint64_t seed;
    int64_t now_ns;
};
struct wire *wire_open(const struct wire_options *options);
void wire_close(struct wire *wire);

/* A process begins: its sink, and how far its clock is from the venue's. What was on its way to the
 * one before is gone. */
void wire_attach(struct wire *wire, struct event_sink sink, struct venue_port *out);
void wire_set_offset(struct wire *wire, int64_t offset_ns);
void wire_detach(struct wire *wire); /* the process is dead: nothing is taken any more */

int64_t wire_now_ns(const struct wire *wire); /* the venue's time */
/* Without a process the venue's time passes as well. */
void wire_run_alone(struct wire *wire, int64_t until_ns);
/* From now on nothing goes wrong any more, and what is broken is mended. */
void wire_heal(struct wire *wire);
/* Quantity beyond its intent that a fault filled at the venue: of all orders of this first id. */
int64_t wire_overfilled(const struct wire *wire, const char *first_id);
size_t wire_pending(const struct wire *wire);

decimal wire_price(int64_t ticks);
decimal wire_qty(int64_t lots);

#endif
