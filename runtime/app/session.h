/* session.h - one run of strategies on a market: what it is made of, and the driver that steps it.
 *
 *   setup*.c   from options and configuration to an open session, fresh or resumed
 *   session.c  the driver: the order of events, the drain of the venue's answers, the end
 *   reload.c   a changed strategy file: rehearsed, warmed, swapped in between two events
 *   loop.c     wall time, signals, the terminal: calls the driver
 *
 * The driver owns no clock: session_run gets a horizon in market time. */
#ifndef RUNTIME_APP_SESSION_H
#define RUNTIME_APP_SESSION_H

#include "bindings/strategy.h"
#include "runtime/app/options.h"
#include "runtime/base/text.h"
#include "runtime/config/config.h"
#include "runtime/engine/engine.h"
#include "runtime/ledger/export.h"
#include "runtime/ledger/ledger.h"
#include "runtime/research/reader.h"
#include "runtime/research/recorder.h"
#include "runtime/sim/paper.h"
#include "runtime/sim/synthetic.h"

#define STRATEGIES_MAX 32
#define FEEDS_MAX 64
#define SESSION_CONFIG_MAX (1u << 20)
#define HISTORY_MARGIN                                                                             \
    64 /* bars asked for beyond what series need, for x:highest(n) and friends                     \
        */

/* A venue's events wait here between two engine steps: a ring that grows. */
struct queued_event {
    struct event event;
    struct report report;
};
struct event_queue {
    struct queued_event *items;
    size_t first, count, capacity;
};

/* When a file was last seen to change; a content is taken when it has rested. */
struct watched_file {
    int64_t changed_ns; /* wall; 0: at rest */
    int64_t stamp[3];   /* mtime, size, inode */
};

/* One content of a strategy file, and what it was given to run with. Guests keep pointers into it.
 */
struct strategy_code {
    struct source source;
    struct strategy_info info;
    struct params *params; /* per instance of the strategy */
};
void strategy_code_release(struct strategy_code *code); /* NULL is fine */

struct strategy {
    struct strategy_code *code; /* what runs now */
    char path[512];
    decimal capital;
    enum stop_policy on_error;
    struct risk_limits limits;
    uint32_t instruments[STRATEGY_SYMBOLS_MAX];
    size_t instrument_count;
    int first_instance, instance_count; /* engine's indices are consecutive */
    size_t config_index;                /* strategies[] entry, SIZE_MAX for an operand */
    struct watched_file watched;

    /* a reload under way */
    struct strategy_code *next; /* NULL: none */
    struct guest *rehearsal;    /* per instance */
};

struct session_instance {
    size_t strategy;
    struct instance_record record;
};

struct session_feed {
    struct data_options options;
    struct data_info info;
    char symbol[SYMBOL_MAX];
    uint32_t instrument;
};

enum session_source {
    SOURCE_SIM,   /* the synthetic market, a paper venue; goes on from the ledger */
    SOURCE_FEED,  /* recorded files, a paper venue; replayed after a crash */
    SOURCE_VENUE, /* a venue that outlives us: market and reports come from it */
};

/* What stands outside, where that is not this machine and its venues: tests bring their own. */
struct session_world {
    void *self;
    struct clock wall;
    /* Opens the venue: its instruments are those listed; all it says goes into the sink. Market
     * events too: `advance` puts them there. */
    int (*open_venue)(void *self, struct event_sink sink, struct venue_port *out,
                      struct error *err);
    /* Fills tick, lot, scales of an instrument by its symbol. ERROR_USAGE: there is no such one. */
    int (*instrument)(void *self, const char *symbol, struct instrument *out, struct error *err);
    const char *venue; /* its name */
    /* Nothing but the ledger is written: no lock, log, quarantine, CSV files, checkpoint. And no
     * watchdog: budgets count instructions. */
    bool without_files;
    /* Limits, breakers and throttles bind as in paper: only those that are set. */
    bool only_set_limits_bind;
};

struct session_risk;

struct session {
    const struct options *options;
    const struct session_world *world; /* NULL: this machine */
    struct clock wall;
    struct config *config;
    struct log *log;
    char state_dir[512];
    int lock_fd, quarantine_fd;
    int heartbeat_fd;  /* to a guardian; -1: none */
    int latch_fd;      /* of a session that goes on; -1: a halt ends with the run */
    bool latch_is_set; /* by us, or at the start */
    bool only_remains; /* opened by session_open_remains */

    enum session_source source;
    const char *mode; /* "paper", "live": names the ledger and its rows */
    struct instruments instruments;
    struct session_feed feeds[FEEDS_MAX];
    size_t feed_count;
    uint64_t seed;
    decimal capital;
    struct synthetic *synthetic; /* SIM: owned by the feed port */
    struct market *market;
    struct feed_port feed;
    struct venue_port venue;
    struct paper *paper; /* what stands behind it; closed by the port */
    struct costs costs;
    enum fill_on fill_on;
    int64_t latency_ns;
    struct ledger *ledger;
    struct keeper *keeper; /* its second thread; NULL: the session flushes for it */
    uint64_t keeper_backups, keeper_failures; /* told so far */
    struct export *export;
    struct session_risk *risk; /* what the engine borrows: setup_risk.c */
    struct engine *engine;
    struct watchdog *watchdog;
    struct sandbox_limits limits;
    struct recorder *recorder;  /* --record, else NULL */
    struct control *control;    /* the socket; NULL: nothing listens */
    struct sentinel *sentinel;  /* hears an emergency; NULL: nobody does */
    char **again;               /* the command line by which it ends a process that hangs */
    const char *stop_asked;     /* by whom, for the summary; NULL: nobody did */
    char emergency_why[120];    /* a request for an emergency stop is journalled; empty: none is */
    struct error control_error; /* a request that the engine could not do: the session is over */
    struct event_queue queue;

    struct strategy *strategies; /* STRATEGIES_MAX */
    size_t strategy_count;
    struct session_instance *instances; /* parallel to the engine's */
    int instance_count;

    struct session_record record;
    bool resumed;
    struct journal_entry *journal; /* of the session that is replayed */
    size_t journal_count, journal_next;
    char *recorded_command; /* of the last session of a feed, when it did not end cleanly */
    bool another_command;   /* than that one: nothing is replayed */
    bool catching_up;       /* a replay began; the files on disk are looked at when it is over */
    bool any_reloading;
    struct text *refused; /* where the reason of a refused reload goes too, or NULL */
    struct quarantine {
        bool set;
        char hash[SHA256_TEXT_MAX], strategy[64], symbol[SYMBOL_MAX];
        uint32_t instance_id;
        uint64_t event;
    } quarantine;

    uint64_t next_ticket;
    int64_t started_ns, now_ns, end_ns; /* market time; end_ns by --duration */
    int64_t known_until_ns;             /* what an earlier session had reached */
};

/* Opens everything; on failure nothing is left open. Every error code of the contract, and
 * ERROR_STOPPED when a signal that waits (signals.h) asked for it. */
MUST_CHECK int session_open(const struct options *options, const struct session_world *world,
                            struct log *log, struct session **out, struct error *err);
/* Without strategies: the instances that the ledger knows of with open orders or positions, on what
 * they traded, so that these can be handled. A halt of the operator (EMERGENCY_STOP) is no
 * hindrance. Same errors. */
MUST_CHECK int session_open_remains(const struct options *options,
                                    const struct session_world *world, struct log *log,
                                    struct session **out, struct error *err);
void session_close(struct session *session);

/* Not a replay: the session goes on from what the ledger holds. */
static inline bool session_goes_on(const struct session *session)
{
    return session->source != SOURCE_FEED;
}

enum session_state { SESSION_RUNNING, SESSION_ENDED };

/* Steps everything due at or before horizon_ns of market time, but at most `steps` events.
 * SESSION_ENDED: the data or the duration is over, no instance is alive, or session_failure says
 * that going on is pointless. Negative: *err. */
MUST_CHECK int session_run(struct session *session, int64_t horizon_ns, uint64_t steps,
                           struct error *err);
/* Why an ended session has no result: the last strategy failed, or on a feed one ran out of time.
 * ERROR_DATA and *err; 0 when nothing of this happened. Ask before session_stop. */
int session_failure(const struct session *session, struct error *err);
/* When the market wants to be stepped next; TIME_NEVER at the end. */
int64_t session_due_ns(const struct session *session);
/* What may lag: ctx.state, exports, the checkpoint. Once a wall second and at the end. */
MUST_CHECK int session_flush(struct session *session, bool checkpoint, struct error *err);
/* Clean stop. With cancel or flatten the market is run on, bounded, until nothing is under way. */
MUST_CHECK int session_stop(struct session *session, enum stop_policy policy, const char *why,
                            struct error *err);
/* Ends the session in the ledger and computes its hash. */
MUST_CHECK int session_end(struct session *session, char result_hash[SHA256_TEXT_MAX],
                           struct error *err);
enum stop_policy session_stop_policy(const struct session *session); /* trading.stop_policy */

/* An emergency stop was asked for: how, or NULL. */
const char *session_emergency_asked(const struct session *session);

/* ---- cancel.c: what a guardian does when trading failed too often ---- */

struct cancel_options {
    bool emergency;   /* all orders, exits too; and positions, if risk.emergency says flatten */
    int heartbeat_fd; /* -1: none */
    int64_t limit_ns; /* from the opening on */
    /* Waits until this instant of the session's clock, or something happened; NULL: time jumps. */
    void (*wait)(void *self, int64_t until_ns);
    void *wait_self;
};
/* Opens what remains, compares the books with the venue, cancels the entries (venue-held exits
 * stay) and waits until that is quiet. ERROR_UNAVAILABLE when something that was to go is still
 * there, or in doubt, at the limit; every error of session_open. */
MUST_CHECK int session_cancel_entries(const struct options *options,
                                      const struct session_world *world, struct log *log,
                                      const struct cancel_options *how, struct error *err);
/* Open orders and positions as the ledger of this mode in this state directory knows them, as a
 * table. ERROR_NO_INPUT: there is no such ledger; ERROR_IO. */
MUST_CHECK int remains_list(const char *state, const char *mode, struct text *out,
                            struct error *err);
/* How many of them there are; of a feed's run those of the newest session, as in the list. */
MUST_CHECK int remains_count(const char *state, const char *mode, size_t *count, struct error *err);
/* Whether options and configuration ask for live trading, whose process has a guardian, and for how
 * long a healthy one may be silent. A broken configuration is no matter of a guardian: false. */
bool session_wants_guardian(const struct options *options, int64_t *hang_ns);

/* ---- shared by the files above ---- */
/* Steps what is due at this instant of session_due_ns: one source. */
MUST_CHECK int session_step_due(struct session *session, int64_t due_ns, struct error *err);
/* What an event_sink of the session's queue does: `self` is the struct event_queue. */
void session_queue_put(void *self, const struct event *event);
MUST_CHECK int session_drain(struct session *session, struct error *err);
/* Drains, and lets the venue do what is due by now, until both are at rest. */
MUST_CHECK int session_settle(struct session *session, int64_t now_ns, struct error *err);
MUST_CHECK int session_history(struct session *session, const struct guest *guest,
                               struct error *err);
/* Ends the quarantine when no strategy runs the content that it is about. */
void session_lift_quarantine(struct session *session);
/* How a guest of this instance is opened from `code`. */
struct guest_options session_guest_options(struct session *session, int instance,
                                           const struct strategy_code *code);
/* Keeps a source in the ledger, by its hash: what a replay runs. */
MUST_CHECK int session_store_source(struct session *session, const struct source *source,
                                    struct error *err);
/* A journal entry about a strategy file: {"file": its path, key: value}. */
MUST_CHECK int session_journal(struct session *session, const char *name,
                               const struct strategy *strategy, const char *key, const char *value,
                               struct error *err);
/* What binds a strategy's instances: the operator's limits, narrowed by the file's own. */
struct risk_limits session_limits(const struct strategy *strategy,
                                  const struct strategy_code *code);
/* Params of every instance of a strategy: defaults, configuration, --param; checked. */
MUST_CHECK int session_params(struct session *session, size_t strategy, struct strategy_code *code,
                              struct error *err);

/* Sets the latch, where a halt outlives the run. A latch that cannot be written is told. */
void session_latch(struct session *session, const char *code, const char *reason, bool emergency);

/* ---- setup_keeper.c ---- */
/* News of the second thread go to the log; without one the WAL is kept short. ERROR_IO. */
MUST_CHECK int session_keep(struct session *session, struct error *err);

/* ---- reload.c ---- */
/* Looks at the strategy files (wall time decides when a change has rested) and begins reloads. */
MUST_CHECK int reload_watch(struct session *session, int64_t wall_ns, struct error *err);
/* Begins one: describes, checks, rehearses. A source that is not acceptable is logged and refused
 * (0 is returned: the old one goes on). Takes the source over. */
MUST_CHECK int reload_prepare(struct session *session, size_t strategy, struct source *source,
                              struct error *err);
/* Swaps in what is warm. Called between two events while any_reloading. */
MUST_CHECK int reload_swap_ready(struct session *session, struct error *err);
/* Applies journal entries of a replay that are due before the next event. */
MUST_CHECK int reload_replay(struct session *session, struct error *err);
/* Looks at the files at once: they may have changed while the process was down. */
MUST_CHECK int reload_look(struct session *session, struct error *err);
/* Looks at one file at once because a person asks for it. *refused gets the reason of a refusal,
 * and is left alone otherwise. */
MUST_CHECK int reload_ask(struct session *session, size_t strategy, struct text *refused,
                          struct error *err);
void reload_abandon(struct session *session, size_t strategy);

#endif
