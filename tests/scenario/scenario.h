/* scenario.h - scripted conversations between strategy, runtime and venue: what the parts share.
 *
 *   script.c  a JSON file read into steps
 *   permute.c the same conversation as other channels might have brought it
 *   told.c    what the venue of the script has told so far: orders, trades, who has which id
 *   venue.c   the scripted venue_port: keeps what was sent, answers what is asked
 *   steps.c   one step played: what a venue says, what a fault does
 *   player.c  the process on its store (engine, ledger, strategy), the clock, the run
 *   expect.c  the end compared with what the script expects
 *
 * Engine, ledger (SQLite, in a directory of its own) and reconciliation are the real ones. */
#ifndef TESTS_SCENARIO_SCENARIO_H
#define TESTS_SCENARIO_SCENARIO_H

#include "runtime/base/json.h"
#include "runtime/engine/engine.h"
#include "runtime/ledger/ledger.h"

#define START_NS (INT64_C(1704067200) * NS_PER_SECOND) /* t = 0: 2024-01-01 */
#define NAME_MAX_BYTES 48
#define ORDERS_TOLD_MAX 128
#define NAMES_MAX 512
#define TRADES_MAX 1024
#define QUESTIONS_MAX 256
#define ALERTS_MAX 1024

/* ---- script.c ---- */

enum who { WHO_STRATEGY, WHO_OPERATOR, WHO_RUNTIME, WHO_VENUE, WHO_FAULT };

struct step {
    const struct json *node;
    enum who who;
    const char *verb; /* do, ev or what */
    const char *cl;   /* "" when it names no order */
    int64_t t_ns;     /* of simulated time, from the start */
    bool is_played;   /* ahead of its turn: the runtime asked for it earlier */
};

struct script {
    char path[512];
    char *bytes;
    struct json *root;
    const char *id;
    const char *mode;
    const struct json *start, *expect;
    struct step *steps;
    size_t count;
};

MUST_CHECK int script_read(const char *path, struct script *script, struct error *err);
void script_release(struct script *script);

/* A member as text, whether it is written as a string or as a number; NULL when absent or null. */
const char *member_text(const struct json *object, const char *key);
/* DECIMAL_NONE when absent, null or no number. */
decimal member_decimal(const struct json *object, const char *key);
int64_t member_int(const struct json *object, const char *key, int64_t otherwise);
bool type_named(const char *name, enum order_type *type);   /* venues' words for stops too */
bool is_one_of(const char *word, const char *const *words); /* NULL-terminated */

/* ---- permute.c ---- */

/* The stream's messages in another order, some of them twice, where that must not matter. */
void script_permute(struct script *script, uint64_t seed);
/* Sums and trades in another order are told to the strategy in other pieces. */
bool script_tells_sums(const struct script *script);

/* ---- told.c ---- */

/* An order as the venue of the script has it. */
struct told_order {
    uint64_t order_id;            /* the runtime's; 0: not one of its own */
    char name[NAME_MAX_BYTES];    /* the script's first id of it; "" until the script names it */
    char id[CLIENT_ORDER_ID_MAX]; /* the client order id it has now */
    char replace_id[CLIENT_ORDER_ID_MAX]; /* of a replace under way */
    char venue_order_id[VENUE_ORDER_ID_MAX];
    uint32_t instrument;
    enum order_side side;
    enum order_type type;
    decimal qty, price; /* price: the trigger of a stop */
    decimal replace_qty, replace_price;
    bool is_told;   /* the venue said something about it */
    bool is_listed; /* among the open orders */
    enum order_status status;
    decimal cum, avg;                         /* as told by sums */
    decimal traded_qty, notional;             /* as told by trades */
    int64_t submit_ns, cancel_ns, replace_ns; /* sent and not answered; TIME_NEVER */
    bool not_found;                           /* the last answer */
    bool new_not_found;                       /* the id of a replace under way */
    bool is_silent; /* the script failed a question about it: nobody knows */
};

struct told_trade {
    char trade[EXEC_ID_MAX];
    size_t order;
    decimal qty, price;
    int64_t time_ns;
    bool is_gone; /* busted */
};

struct told_name {
    char script[NAME_MAX_BYTES];
    char id[CLIENT_ORDER_ID_MAX];
    size_t order;
};

struct told {
    struct told_order orders[ORDERS_TOLD_MAX];
    size_t order_count;
    struct told_name names[NAMES_MAX];
    size_t name_count;
    struct told_trade trades[TRADES_MAX];
    size_t trade_count;
    decimal base_qty[INSTRUMENTS_MAX];  /* held before the first step, or by the last snapshot */
    bool is_silent[QUERY_BALANCES + 1]; /* the script failed such a question: it fails again */
    decimal said_qty[INSTRUMENTS_MAX], said_avg[INSTRUMENTS_MAX]; /* by the last snapshot */
};

struct told_name *told_name(struct told *told, const char *script);
struct told_order *told_by_name(struct told *told, const char *script); /* NULL: nobody's */
struct told_order *told_by_id(struct told *told, uint64_t order_id);
struct told_order *told_add(struct told *told);
void told_call(struct told *told, struct told_order *order, const char *script, const char *id);
void told_fill(struct told *told, struct told_order *order, const char *trade, decimal qty,
               decimal price, int64_t now_ns);
void told_correct(struct told *told, struct told_order *order, const char *trade, decimal qty,
                  decimal price);
void told_bust(struct told *told, struct told_order *order, const char *trade);
void told_sum(struct told_order *order, enum order_status status, decimal cum, decimal avg);
decimal told_cum(const struct told_order *order);
decimal told_avg(const struct told_order *order); /* DECIMAL_NONE before a fill */
bool told_is_open(const struct told_order *order);
bool told_is_in_flight(const struct told_order *order); /* sent, and nothing told since */
void told_answered(struct told_order *order);
/* What the venue holds for the account. */
decimal told_position(const struct told *told, uint32_t instrument);

/* ---- what was sent ---- */

enum sent_kind { SENT_SUBMIT, SENT_CANCEL, SENT_REPLACE, SENT_QUERY };

struct sent {
    enum sent_kind kind;
    enum venue_query_kind query;
    size_t order; /* SIZE_MAX: of no order */
    int64_t time_ns;
    size_t step;   /* that was played then */
    bool is_met;   /* a step of the script stands for it */
    bool is_early; /* before the first step */
};

/* A question that waits for its answer. */
struct question {
    struct venue_query query;
    char client_order_id[CLIENT_ORDER_ID_MAX], venue_order_id[VENUE_ORDER_ID_MAX];
    size_t order; /* QUERY_ORDER, QUERY_FILLS of one; SIZE_MAX */
    int64_t fails_ns;
};

struct queued {
    struct event event;
    struct report report;
};

/* ---- player.c ---- */

struct player {
    struct script script;
    const struct options *options;
    uint64_t permutation; /* 0: as written */
    struct text failures; /* "field: expected X, got Y" a line */
    char directory[64], path[96];
    struct instruments instruments;
    struct venue_abilities abilities;

    struct market *market;
    struct engine *engine; /* NULL while the process is down */
    struct ledger *ledger;
    struct ledger_port port; /* the real one, behind the player's own */
    int64_t wall_ns;
    int64_t known_until_ns; /* what the ledger had reached when the process started */
    uint32_t instance_id, external_id;
    bool has_external; /* the engine keeps it as an instance of its own */
    uint64_t starts;

    int64_t now_ns;     /* simulated */
    int64_t shift_ns;   /* by clock_advance and waiting, added to the steps' times */
    size_t at;          /* the step that is played */
    bool is_up;         /* the line to the venue */
    bool is_early;      /* before the first step */
    int64_t seq;        /* of the stream, -1 before the first */
    size_t first_fault; /* sent so far when the first fault came; SIZE_MAX: none */
    bool drop_sends;    /* a crash between commit and send is coming */
    bool lose_commits;  /* a crash before the commit is coming */

    struct told told;
    struct sent *sent;
    size_t sent_count, sent_capacity;
    struct question questions[QUESTIONS_MAX];
    size_t question_count;
    struct queued *queue;
    size_t queue_count, queue_capacity;
    bool is_draining;
    bool is_ahead;   /* a later step is being played */
    bool is_waiting; /* an answer of the script waits for its question */
    enum venue_query_kind waits_for;
    size_t waits_order;

    /* the strategy */
    const struct step *task; /* what its next callback does */
    const struct step *deferred[16];
    size_t deferred_count;
    char refusal[256]; /* of the last task */
    char refused[32][NAME_MAX_BYTES];
    size_t refused_count;
    uint64_t fills_delivered, fills_in_turn; /* told, and the turn committed */
    decimal done_qty[ORDERS_TOLD_MAX]; /* filled when on_order first said done; NONE: it did not */

    /* what was committed */
    struct order *orders; /* newest record of each order id */
    size_t order_count, order_capacity;
    char alerts[ALERTS_MAX][40];
    size_t alert_count;
    decimal last_price;
};

struct options {
    bool trace;
    uint64_t permute; /* how many shuffled ones are played after the one that is written */
};

void fail_step(struct player *player, const char *format, ...) PRINTF_LIKE(2, 3);
void trace(struct player *player, const char *format, ...) PRINTF_LIKE(2, 3);
uint32_t instrument_named(const struct player *player, const char *symbol);

bool player_open(struct player *player, struct error *err);
void player_close(struct player *player);
/* The process: on its store as it is then. */
bool process_start(struct player *player);
void process_crash(struct player *player);
/* Everything due until then; the queue is empty after it. */
void player_run_to(struct player *player, int64_t time_ns);
/* Runs on until `met` says so, at most `bound_ns`; false: it never did. */
bool player_wait(struct player *player, bool (*met)(struct player *player, const struct step *step),
                 const struct step *step, int64_t bound_ns);
void player_put(struct player *player, const struct event *event);
void player_drain(struct player *player);
void player_task(struct player *player, const struct step *step);

/* ---- venue.c ---- */

struct venue_port scripted_venue(struct player *player);
int64_t scripted_due_ns(const struct player *player);
void scripted_advance(struct player *player);
/* Ends a question: 0 fails it. */
void question_end(struct player *player, size_t index, bool complete);
/* The index of a question of that kind (about that order, when given), or SIZE_MAX. */
size_t question_find(const struct player *player, enum venue_query_kind kind, size_t order);
/* One about an order by this of its ids. */
size_t question_by_id(const struct player *player, size_t order, const char *id);
void question_answer_default(struct player *player, size_t index);
/* Questions that no later step answers are answered from what was told. */
void questions_look_again(struct player *player);
struct report report_new(const struct player *player, enum report_kind kind, const char *id);
void report_put(struct player *player, uint32_t instrument, const struct report *report);

/* ---- steps.c ---- */

void step_play(struct player *player, const struct step *step);
/* Plays a later step that answers what the runtime asks now. False: there is none. */
bool step_play_ahead(struct player *player);
/* Whether a later step of the script answers such a question soon. */
bool script_answers(const struct player *player, const struct question *question);

/* ---- expect.c ---- */

void expect_check(struct player *player); /* adds to player->failures */

/* ---- play one file ---- */

/* Prints "ok ID" or "FAIL ID field: expected X, got Y". True when ok. */
bool play(const char *path, const struct options *options);

#endif
