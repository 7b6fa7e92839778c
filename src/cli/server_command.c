/* SPDX-License-Identifier: Apache-2.0 */
/* server, config check, config show, version. */
#include "cli/server_command.h"

#include <unistd.h>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/message.h"
#include "cli/output.h"
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

static bool wants_json(const struct invocation *invocation)
{
    return output_format_parse(option_text(invocation, "output")) == OUTPUT_JSON;
}

/* Reads the configuration as a server would; false: see `problems`. */
static bool load(const struct invocation *invocation, struct config *ret_config,
                 struct config_problems *problems)
{
    char name[] = "--config";
    const char *file = option_text(invocation, "config");
    char *arguments[] = { name, (char *)file };
    config_problems_init(problems);
    return config_load(ret_config, file == NULL ? 0 : 2, arguments, environ, problems);
}

static int tell_problems(const struct config_problems *problems)
{
    say_error("the configuration has %u problem%s", problems->count,
              problems->count == 1 ? "" : "s");
    fwrite(problems->text.data, 1, problems->text.size, stderr);
    return EXIT_USAGE;
}

/* Each line of the problems is one. */
static int print_check(const struct config *config, bool valid,
                       const struct config_problems *problems)
{
    json_t *list = json_array();
    struct bytes left = buffer_bytes(&problems->text);
    while (left.size > 0)
        json_array_append_new(list, json_text(text_cut(&left, '\n')));
    int code = json_print(json_pack("{s:b, s:o, s:o}", "valid", valid, "file",
                                    json_text(bytes_of_string(config->file)), "problems", list),
                          stdout);
    return code == EXIT_DONE && !valid ? EXIT_USAGE : code;
}

int command_config_check(const struct invocation *invocation)
{
    static struct config config;
    struct config_problems problems;
    int code = EXIT_DONE;
    bool valid = load(invocation, &config, &problems);
    if (wants_json(invocation))
        code = print_check(&config, valid, &problems);
    else if (!valid)
        code = tell_problems(&problems);
    else
        printf("the configuration is valid%s%s\n", *config.file == '\0' ? "" : ": ", config.file);
    config_problems_done(&problems);
    return code;
}

/* {SECTION: {KEY: {"value": TEXT, "origin": TEXT}}}, values as one would write them. */
static json_t *configuration_json(const struct config *config)
{
    json_t *sections = json_object();
    for (size_t i = 0; i < config_option_count; i++) {
        const struct config_option *option = &config_options[i];
        char value[CONFIG_TEXT_MAX + 1], origin[CONFIG_ORIGIN_MAX];
        config_format(config, option, value, sizeof(value));
        config_origin_format(config, option, origin, sizeof(origin));
        json_t *section = json_object_get(sections, option->section);
        if (section == NULL) {
            section = json_object();
            json_object_set_new(sections, option->section, section);
        }
        json_t *shown =
            json_pack("{s:o, s:o}", "value", json_text(bytes_of_string(value)), "origin",
                      json_text(bytes_of_string(origin[0] == '\0' ? "default" : origin)));
        json_object_set_new(section, option->key, shown);
    }
    return sections;
}

static void show(const struct config *config)
{
    struct buffer text;
    buffer_init(&text, 256 * 1024);
    config_show(config, &text);
    fwrite(text.data, 1, text.size, stdout);
    buffer_done(&text);
}

int command_config_show(const struct invocation *invocation)
{
    static struct config config;
    struct config_problems problems;
    bool valid = load(invocation, &config, &problems);
    int code = valid ? EXIT_DONE : tell_problems(&problems);
    config_problems_done(&problems);
    if (valid && wants_json(invocation))
        return json_print(configuration_json(&config), stdout);
    if (valid)
        show(&config);
    return code;
}

int command_version(const struct invocation *invocation)
{
    if (wants_json(invocation))
        return json_print(json_pack("{s:s}", "version", KVORUM_VERSION), stdout);
    printf("kvorum %s\n", KVORUM_VERSION);
    return EXIT_DONE;
}
