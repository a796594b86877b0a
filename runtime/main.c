/* main.c - the door. Everything else is in app/. */
#include "runtime/app/app.h"

int main(int argc, char **argv)
{
    return app_main(argc, argv);
}
