/* ledger.h - the one truth, in SQLite: what was asked, what happened, what is held.
 *
 * WAL mode. One transaction a turn (ledger_port.commit), committed before anything leaves. Money is
 * exact decimal text, times are integer nanoseconds. Tables are public: people query them.
 * CSV files and the checkpoint are derived from here and can be deleted (export.h).
 *
 * A session that is replayed (a feed, after a crash) goes through the same commits: rows that are
 * there already are compared, not written, and the first difference is an error. */
#ifndef RUNTIME_LEDGER_LEDGER_H
#define RUNTIME_LEDGER_LEDGER_H

#include "runtime/base/base.h"
#include "runtime/base/error.h"
#include "runtime/base/hash.h"
#include "runtime/base/text.h"
#include "runtime/engine/ports.h"

struct ledger; /* opaque */

struct ledger_options {
    const char *path;                      /* STATE/ledger-paper.sqlite */
    const char *anchor_path;               /* STATE/audit-paper.head; NULL: no anchor */
    const struct instruments *instruments; /* borrowed: names for rows */
    bool power_safe; /* persistence.durability: power (synchronous=FULL), else process (NORMAL) */
};

/* Opens or creates it. ERROR_IO (cannot open, corrupt: says what to do), ERROR_UNAVAILABLE
 * (locked), ERROR_DATA (schema of a newer version). */
MUST_CHECK int ledger_open(const struct ledger_options *options, struct ledger **out,
                           struct error *err);
void ledger_close(struct ledger *ledger);
struct ledger_port ledger_port(struct ledger *ledger);

/* No commit pays for a checkpoint of the WAL: a keeper does it on its own thread (keeper.h), or the
 * caller here, when the WAL has so many pages. ERROR_IO. */
MUST_CHECK int ledger_checkpoint_now(struct ledger *ledger, int wal_pages, struct error *err);

/* ---- sessions ---- */

struct session_record {
    int64_t session_id;
    int64_t epoch;          /* seconds; in client order ids: max(now, last + 1) */
    char mode[12];          /* paper, live, backtest */
    char source[VENUE_MAX]; /* "sim", "feed", a venue: sessions of one resume one another */
    int64_t started_ns;     /* market time */
    int64_t market_ns;      /* market time reached, kept up with each commit */
    int64_t ended_ns;       /* of a clean end; TIME_NEVER while running or after a crash */
    uint64_t events;        /* number of the last event committed */
    char *config;           /* JSON that decides the outcome: equal text = same command; malloc'd */
    char build[64];
};
void session_record_release(struct session_record *record);

/* The newest session of this mode and source (NULL: of any): true and *out, or false. */
MUST_CHECK int ledger_last_session(struct ledger *ledger, const char *mode, const char *source,
                                   bool *found, struct session_record *out, struct error *err);
/* Begins a new session (session_id and epoch are chosen here) or goes on with one (`resume`: its
 * record as found; replay = true compares until caught up). now_wall_ns gives the epoch, also of a
 * resumed session that is not replayed: the file may be a backup that lacks ids used since; only a
 * replay keeps its epoch, and its order ids. Begun again, a session has not ended. */
MUST_CHECK int ledger_session_begin(struct ledger *ledger, struct session_record *record,
                                    bool resume, bool replay, int64_t now_wall_ns,
                                    struct error *err);
MUST_CHECK int ledger_session_end(struct ledger *ledger, int64_t market_ns, struct error *err);
bool ledger_replaying(const struct ledger *ledger); /* still comparing */
/* From now on turns are gathered into one transaction, committed by ledger_progress, by a journal
 * record, and by ledger_session_end. Only for sessions that are replayed after a crash: what a lost
 * group held comes back by itself, and nothing of it was seen outside this process. */
void ledger_group_turns(struct ledger *ledger);
/* Market time and event number reached, when no turn says it: with the once-a-second flush. */
MUST_CHECK int ledger_progress(struct ledger *ledger, int64_t market_ns, uint64_t event,
                               struct error *err);

/* ---- instances, sources, journal ---- */

struct instance_record {
    uint32_t instance_id;
    char strategy[64], version[32], file[512], symbol[SYMBOL_MAX]; /* symbol "*" for a portfolio */
    char hash[SHA256_TEXT_MAX];
    decimal capital;
};
/* Finds the instance of (session's scope, strategy, symbol) or adds it, and updates version, file,
 * hash. One that is found keeps the capital it began with: record->capital is set to it. Scope:
 * sessions of a resumable source share instances, a feed session has its own. */
MUST_CHECK int ledger_instance(struct ledger *ledger, struct instance_record *record, bool *is_new,
                               struct error *err);
/* One that is known, by its id; nothing of it changes. ERROR_INTERNAL: there is none. */
MUST_CHECK int ledger_recall_instance(struct ledger *ledger, uint32_t instance_id,
                                      struct instance_record *record, struct error *err);
/* Positions of the scope's instances that were not asked for above, as text for people. */
MUST_CHECK int ledger_left_over(struct ledger *ledger, struct text *out, struct error *err);
MUST_CHECK int ledger_put_source(struct ledger *ledger, const char *hash, const char *json,
                                 size_t length, struct error *err);
/* malloc'd JSON of source_write, or NULL when not there. */
MUST_CHECK int ledger_get_source(struct ledger *ledger, const char *hash, char **json,
                                 size_t *length, struct error *err);

struct journal_entry {
    uint64_t event; /* applied when the event count was this */
    char name[32];
    char *body; /* malloc'd JSON */
};
/* All entries of the session, in order; malloc'd array. */
MUST_CHECK int ledger_journal(struct ledger *ledger, struct journal_entry **list, size_t *count,
                              struct error *err);
/* Those of any session, before one has begun. */
MUST_CHECK int ledger_session_journal(struct ledger *ledger, int64_t session_id,
                                      struct journal_entry **list, size_t *count,
                                      struct error *err);
void journal_release(struct journal_entry *list, size_t count);

/* ---- what a resumed session begins with ---- */
/* And those done ones of which only a sum was told (their trades are still to come), or whose pair
 * still works. */
MUST_CHECK int ledger_each_open_order(struct ledger *ledger, uint32_t instance_id,
                                      int (*visit)(void *self, const struct order *order,
                                                   struct error *err),
                                      void *self, struct error *err);
MUST_CHECK int ledger_each_position(struct ledger *ledger, uint32_t instance_id,
                                    int (*visit)(void *self, uint32_t instrument,
                                                 const struct position *position,
                                                 struct error *err),
                                    void *self, struct error *err);
/* malloc'd ctx.state JSON, NULL when none. */
MUST_CHECK int ledger_state(struct ledger *ledger, uint32_t instance_id, char **json,
                            size_t *length, struct error *err);

struct halt_record {
    char scope[96]; /* "session", a symbol, or what a scope of the engine is called */
    char code[32], reason[REASON_MAX];
};
/* Halts that nobody lifted. */
MUST_CHECK int ledger_each_halt(struct ledger *ledger,
                                void (*visit)(void *self, const struct halt_record *halt),
                                void *self, struct error *err);
/* ---- remains.c: without a session, what a stopped process left ---- */

struct standing_halt {
    struct halt_record halt;
    int64_t since_ns; /* market time */
};
/* Halts that nobody lifted, of all sources that go on; oldest first. The scope of an instance is
 * spelled for people: "strategy NAME on SYMBOL". */
MUST_CHECK int ledger_each_standing_halt(struct ledger *ledger,
                                         void (*visit)(void *self,
                                                       const struct standing_halt *halt),
                                         void *self, struct error *err);
/* Ends them all, each with its own record; those of one source in one transaction. The records have
 * the market time that the source's newest session reached, wall_ns goes into their bodies. How
 * many (0 or more), or ERROR_IO, ERROR_UNAVAILABLE. No session may have begun. */
MUST_CHECK int ledger_lift_halts(struct ledger *ledger, const char *by, int64_t wall_ns,
                                 struct error *err);

/* An open order, or a position that is not flat; texts as the tables have them, valid during the
 * call. Needs no instruments. */
struct remaining {
    bool is_position;
    uint32_t instance_id;
    const char *strategy, *venue, *symbol, *qty;
    const char *side, *type, *filled_qty, *price, *trigger_price; /* orders; "": none */
    const char *status, *client_order_id, *venue_order_id;
    bool reduce_only;
};
/* On how many UTC days orders were made without a halt: clean days of trading, for a rollout. */
MUST_CHECK int ledger_clean_days(struct ledger *ledger, uint32_t *days, struct error *err);
/* Orders by their ids, then positions, of all sources that go on. */
MUST_CHECK int ledger_each_remaining(struct ledger *ledger,
                                     void (*visit)(void *self, const struct remaining *remaining),
                                     void *self, struct error *err);

/* Those of one session of a feed. */
MUST_CHECK int ledger_each_remaining_of(struct ledger *ledger, int64_t session_id,
                                        void (*visit)(void *self,
                                                      const struct remaining *remaining),
                                        void *self, struct error *err);
/* The newest rows of kind blocked, reduced and halt, newest first: the body as it is written. Ends
 * of halts are not among them. */
MUST_CHECK int ledger_each_refusal(struct ledger *ledger, size_t count,
                                   void (*visit)(void *self, const char *kind, int64_t time_ns,
                                                 const char *body),
                                   void *self, struct error *err);

/* Cash as last agreed with the venue. */
MUST_CHECK int ledger_each_cash(struct ledger *ledger, const char *venue,
                                void (*visit)(void *self, const struct cash_record *cash),
                                void *self, struct error *err);

/* SHA-256 over the session's ordered orders and fills (CONTRACT section 1, result_hash). */
MUST_CHECK int ledger_result_hash(struct ledger *ledger, char hex[SHA256_TEXT_MAX],
                                  struct error *err);

#endif
