/* strangers.c - orders at the venue that we do not know. */
#include "runtime/engine/state.h"

#include <stdio.h>

void strangers_report(struct engine *engine, uint32_t instrument, const struct report *report)
{
    char text[REASON_MAX];
    (void)instrument;
    engine->counts.illegal_reports++;
    snprintf(text, sizeof(text), "the venue reports %s for an order we do not know: %s",
             report_kind_name(report->kind), report->client_order_id);
    turn_alert(engine, -1, "unknown_order", text);
}
