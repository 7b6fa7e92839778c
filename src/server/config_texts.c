/* SPDX-License-Identifier: Apache-2.0 */
/* What is written from the table of options: the configuration in force, the reference, --help. */
#include "server/config.h"

#include <stdio.h>
#include <string.h>

void config_origin_format(const struct config *config, const struct config_option *option,
                          char *ret_text, size_t size)
{
    const struct config_origin *origin = &config->origins[option - config_options];
    switch (origin->kind) {
    case CONFIG_FILE:
        snprintf(ret_text, size, "%s:%u", config->file, origin->line);
        break;
    case CONFIG_ENVIRONMENT:
        snprintf(ret_text, size, "environment");
        break;
    case CONFIG_FLAG:
        snprintf(ret_text, size, "command line");
        break;
    default:
        ret_text[0] = '\0';
    }
}

void config_show(const struct config *config, struct buffer *ret_text)
{
    const char *section = "";
    for (size_t i = 0; i < config_option_count; i++) {
        const struct config_option *option = &config_options[i];
        char value[CONFIG_TEXT_MAX + 1], origin[CONFIG_ORIGIN_MAX];
        if (strcmp(section, option->section) != 0)
            buffer_printf(ret_text, "%s[%s]\n", i == 0 ? "" : "\n", option->section);
        section = option->section;
        config_format(config, option, value, sizeof(value));
        config_origin_format(config, option, origin, sizeof(origin));
        buffer_printf(ret_text, "%s = %s%s%s\n", option->key, value,
                      origin[0] == '\0' ? "" : "  ; ", origin);
    }
}

void config_reference(struct buffer *ret_text)
{
    const char *section = "";
    for (size_t i = 0; i < config_option_count; i++) {
        const struct config_option *option = &config_options[i];
        char values[160];
        config_describe(option, values, sizeof(values));
        if (strcmp(section, option->section) != 0)
            buffer_printf(
                ret_text,
                "\n## [%s]\n\n| key | default | values | what it does |\n|---|---|---|---|"
                "\n",
                option->section);
        section = option->section;
        for (char *at = values; *at != '\0'; at++)
            *at = *at == '|' ? ',' : *at; /* a bar would end the cell */
        buffer_printf(ret_text, "| `%s`%s%s%s | %s | %s | %s |\n", option->key,
                      option->flag == NULL ? "" : " `", option->flag == NULL ? "" : option->flag,
                      option->flag == NULL ? "" : "`",
                      option->standard[0] == '\0' ? "(empty)" : option->standard, values,
                      option->help);
    }
}

void config_help(struct buffer *ret_text)
{
    for (size_t i = 0; i < config_option_count; i++) {
        const struct config_option *option = &config_options[i];
        if (option->flag != NULL)
            buffer_printf(ret_text, "  %-14s %s%s%s%s\n", option->flag, option->help,
                          option->standard[0] == '\0' ? "" : " [", option->standard,
                          option->standard[0] == '\0' ? "" : "]");
    }
    buffer_append_text(ret_text, "  --config FILE  Read this file.\n"
                                 "  --SECTION.KEY VALUE  Any option of the file, see "
                                 "docs/operations/configuration.md.\n");
}
