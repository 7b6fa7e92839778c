/* SPDX-License-Identifier: Apache-2.0 */
/* server, config check, config show, version. */
#include "cli/server_command.h"

#include <string.h>
#include <unistd.h>

#include "cli/commands.h"
#include "cli/message.h"
#include "server/config.h"
#include "server/server.h"

int command_server(int argc, char **argv)
{
    return server_main(argc, argv);
}

void server_command_help(FILE *file)
{
    struct buffer text;
    buffer_init(&text, 256 * 1024);
    config_help(&text);
    fputs("\nOptions:\n", file);
    fwrite(text.data, 1, text.size, file);
    buffer_done(&text);
}

void server_command_flags(FILE *file)
{
    fputs("--config", file);
    for (size_t i = 0; i < config_option_count; i++) {
        if (config_options[i].flag != NULL)
            fprintf(file, " %s", config_options[i].flag);
    }
}

/* Reads the configuration as a server would.  EXIT_DONE, or EXIT_USAGE after telling all
 * problems. */
static int load(const struct invocation *invocation, struct config *ret_config)
{
    char name[] = "--config";
    const char *file = option_text(invocation, "config");
    char *arguments[] = { name, (char *)file };
    struct config_problems problems;
    config_problems_init(&problems);
    bool good = config_load(ret_config, file == NULL ? 0 : 2, arguments, environ, &problems);
    if (!good) {
        say_error("the configuration has %u problem%s", problems.count,
                  problems.count == 1 ? "" : "s");
        fwrite(problems.text.data, 1, problems.text.size, stderr);
    }
    config_problems_done(&problems);
    return good ? EXIT_DONE : EXIT_USAGE;
}

int command_config_check(const struct invocation *invocation)
{
    static struct config config;
    int code = load(invocation, &config);
    if (code == EXIT_DONE)
        printf("the configuration is valid%s%s\n", *config.file == '\0' ? "" : ": ", config.file);
    return code;
}

int command_config_show(const struct invocation *invocation)
{
    static struct config config;
    int code = load(invocation, &config);
    if (code != EXIT_DONE)
        return code;
    struct buffer text;
    buffer_init(&text, 256 * 1024);
    config_show(&config, &text);
    fwrite(text.data, 1, text.size, stdout);
    buffer_done(&text);
    return EXIT_DONE;
}

int command_version(const struct invocation *invocation)
{
    (void)invocation;
    printf("kvorum %s\n", KVORUM_VERSION);
    return EXIT_DONE;
}
