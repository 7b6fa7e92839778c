/* SPDX-License-Identifier: Apache-2.0 */
#include "server/config.h"
#include "server/run.h"
#include "server/server.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { EXIT_CODE_OK = 0, EXIT_CODE_USAGE = 2 };

static bool wants_help(int count, char **arguments)
{
    for (int i = 0; i < count; i++) {
        if (strcmp(arguments[i], "--help") == 0 || strcmp(arguments[i], "-h") == 0)
            return true;
    }
    return false;
}

static int print_help(void)
{
    struct buffer text;
    buffer_init(&text, 1 << 16);
    config_help(&text);
    /* tidy: printf, because this is a command of the program */
    printf("Usage: kvorum server [flags]\n\nRun one node until SIGTERM or Ctrl-C.\n\n%.*s",
           (int)text.size, (char *)text.data);
    buffer_done(&text);
    return EXIT_CODE_OK;
}

static void print_problems(const struct config_problems *problems)
{
    /* tidy: fprintf, because there is no log before there is a configuration */
    fprintf(stderr, "kvorum: the configuration has %u problem%s; nothing was started\n",
            problems->count, problems->count == 1 ? "" : "s");
    /* tidy: fprintf, because of the same */
    fprintf(stderr, "%.*s", (int)problems->text.size, (char *)problems->text.data);
}

int server_main(int argc, char **argv)
{
    int count = argc > 0 ? argc - 1 : 0;
    if (wants_help(count, argv + 1))
        return print_help();
    struct config *config = calloc(1, sizeof(*config));
    struct config_problems problems;
    config_problems_init(&problems);
    int code = EXIT_CODE_USAGE;
    if (config != NULL && config_load(config, count, argv + 1, environ, &problems))
        code = server_run(config);
    else
        print_problems(&problems);
    config_problems_done(&problems);
    free(config);
    return code;
}
