/* fragments.c - other names for settings, and secrets in the wrong place. */
#include "runtime/config/fragments.h"

#include <ctype.h>
#include <string.h>

#include "runtime/base/text.h"

static const struct {
    const char *written, *meant;
} fragments[] = {
    { "universe.fixed_symbols", "trading.symbols" },
    { "universe.logical_universe", "trading.logical_universe" },
    { "logical_universe", "trading.logical_universe" },
    { "paper_capital", "trading.paper_capital" },
    { "max_daily_loss", "risk.max_daily_loss_usd" },
    { "risk.max_daily_loss", "risk.max_daily_loss_usd" },
    { "risk.symbols.*.max_daily_loss", "risk.symbols.*.max_daily_loss_usd" },
    { "risk.venues.*.max_daily_loss", "risk.venues.*.max_daily_loss_usd" },
    { "strategies.*.limits.max_daily_loss", "strategies.*.limits.max_daily_loss_usd" },
    { "brokers.*.base_url", "brokers.*.rest_url" },
    { "brokers.ibkr.host", "brokers.ibkr.settings.host" },
    { "brokers.ibkr.port", "brokers.ibkr.settings.port" },
    { "brokers.ibkr.client_id", "brokers.ibkr.settings.client_id" },
    { "brokers.ibkr.account", "brokers.ibkr.settings.account" },
};

const char *fragment_meaning(const char *written)
{
    for (size_t i = 0; i < ARRAY_SIZE(fragments); i++)
        if (strcmp(fragments[i].written, written) == 0)
            return fragments[i].meant;
    return NULL;
}

bool fragment_section(const char *written)
{
    size_t length = strlen(written);
    for (size_t i = 0; i < ARRAY_SIZE(fragments); i++)
        if (text_starts_with(fragments[i].written, written) && fragments[i].written[length] == '.')
            return true;
    return false;
}

bool fragment_is_secret(const char *name)
{
    static const char *const endings[] = { "apikey",   "secret",     "secretkey",
                                           "password", "passwd",     "passphrase",
                                           "token",    "privatekey", "accesskey" };
    char plain[128];
    size_t length = 0;
    for (; *name && length < sizeof(plain) - 1; name++)
        if (isalnum((unsigned char)*name))
            plain[length++] = (char)tolower((unsigned char)*name);
    plain[length] = '\0';
    for (size_t i = 0; i < ARRAY_SIZE(endings); i++)
        if (text_ends_with(plain, endings[i]))
            return true;
    return strcmp(plain, "key") == 0;
}
