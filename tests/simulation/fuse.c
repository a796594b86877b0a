/* fuse.c - see fuse.h. */
#include "tests/simulation/fuse.h"

static void blow(struct fuse *fuse, const struct rules *rules, int64_t now_ns)
{
    fuse->failures = 0;
    fuse->blown = true;
    fuse->until_ns = now_ns + rules->open_for_s * NS_PER_SECOND;
}

/* While it is open, and until somebody wants to leave, answers and prices do not count. */
void fuse_answer(struct fuse *fuse, const struct rules *rules, enum fuse_answer answer,
                 int64_t now_ns)
{
    if (rules->failures == 0)
        return;
    if (answer == FUSE_SLOW_DOWN)
        blow(fuse, rules, now_ns);
    if (fuse->blown || fuse->by_hand)
        return;
    fuse->failures = answer == FUSE_FAILED ? fuse->failures + 1 : 0;
    if (fuse->failures >= rules->failures)
        blow(fuse, rules, now_ns);
}

void fuse_line_down(struct fuse *fuse, const struct rules *rules, int64_t now_ns)
{
    if (rules->failures > 0)
        blow(fuse, rules, now_ns);
}

void fuse_price(struct fuse *fuse, const struct rules *rules, int64_t before, int64_t now,
                int64_t now_ns)
{
    int64_t change = now > before ? now - before : before - now;
    if (rules->failures == 0 || before <= 0 || fuse->blown || fuse->by_hand)
        return;
    /* The runtime compares doubles: the very bound is left to it. */
    if ((money)change * SHARE_WHOLE > (money)before * (rules->price_jump + 1))
        blow(fuse, rules, now_ns);
}

void fuse_told(struct fuse *fuse, const struct rules *rules, int64_t now_ns)
{
    if (rules->failures > 0)
        blow(fuse, rules, now_ns);
}

void fuse_sent(struct fuse *fuse, int64_t now_ns)
{
    fuse->blown &= now_ns < fuse->until_ns;
}

void fuse_operate(struct fuse *fuse, bool open)
{
    *fuse = (struct fuse){ .by_hand = open };
}

void fuse_restart(struct fuse *fuse)
{
    *fuse = (struct fuse){ .by_hand = fuse->by_hand };
}
