/* main.c - build/scenario [--trace] [--permute N] FILE.json... : plays scripted conversations.
 *
 * Prints "ok ID" or "FAIL ID field: expected X, got Y" a file; exit 0 when all are ok, else 1. */
#include "tests/scenario/scenario.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv)
{
    struct options options = { 0 };
    int failed = 0, played = 0;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--trace") == 0)
            options.trace = true;
        else if (strcmp(argv[i], "--permute") == 0 && i + 1 < argc)
            options.permute = strtoull(argv[++i], NULL, 10);
        else {
            played++;
            failed += !play(argv[i], &options);
        }
    }
    if (played == 0) {
        fprintf(stderr, "usage: scenario [--trace] [--permute N] FILE.json...\n");
        return 64;
    }
    return failed > 0;
}
