/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/option.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cli/message.h"
#include "cli/suggest.h"

static int64_t unit_of(char letter)
{
    return letter == 'k' || letter == 'K'   ? 1000
           : letter == 'm' || letter == 'M' ? 1000000
           : letter == 'g' || letter == 'G' ? 1000000000
                                            : 0;
}

bool option_read_number(const char *text, int64_t minimum, int64_t maximum, int64_t *ret)
{
    char *end;
    errno = 0;
    long long number = strtoll(text, &end, 10);
    if (end == text || errno != 0 || *text == ' ')
        return false;
    int64_t unit = 1;
    if (*end != '\0') {
        unit = unit_of(*end);
        if (unit == 0 || end[1] != '\0')
            return false;
    }
    int64_t product;
    if (__builtin_mul_overflow((int64_t)number, unit, &product) || product < minimum ||
        product > maximum)
        return false;
    *ret = product;
    return true;
}

static bool is_choice(const char *words, const char *text)
{
    size_t size = strlen(text);
    for (const char *word = words; word != NULL; word = strchr(word, '|')) {
        word += *word == '|';
        if (strcspn(word, "|") == size && strncmp(word, text, size) == 0)
            return true;
    }
    return false;
}

static bool is_level(const char *text)
{
    int64_t number;
    return is_choice("one|quorum|all|local_quorum|each_quorum|default", text) ||
           option_read_number(text, 0, 255, &number);
}

/* False after saying why `text` cannot be the value of `option`. */
static bool check_value(const struct option *option, const char *text)
{
    int64_t number;
    switch (option->kind) {
    case OPTION_NUMBER:
        if (option_read_number(text, option->minimum, option->maximum, &number))
            return true;
        say_error("--%s is a number from %" PRId64 " to %" PRId64 ", not '%s'", option->name,
                  option->minimum, option->maximum, text);
        return false;
    case OPTION_CHOICE:
        if (is_choice(option->argument, text))
            return true;
        say_error("--%s is one of %s, not '%s'", option->name, option->argument, text);
        return false;
    case OPTION_LEVEL:
        if (is_level(text))
            return true;
        say_error("--%s is a number of replicas or one, quorum, all, local_quorum, each_quorum, "
                  "default; not '%s'",
                  option->name, text);
        return false;
    case OPTION_TEXT:
    case OPTION_FLAG:
    case OPTION_NODES:
        break;
    }
    return true;
}

static const struct option *find_long(const struct option *options, const char *name, size_t size)
{
    for (const struct option *o = options; o != NULL && o->name != NULL; o++) {
        if (strlen(o->name) == size && memcmp(o->name, name, size) == 0)
            return o;
    }
    return NULL;
}

static const struct option *find_letter(const struct option *options, char letter)
{
    for (const struct option *o = options; o != NULL && o->name != NULL; o++) {
        if (o->letter == letter)
            return o;
    }
    return NULL;
}

static bool say_unknown(const struct invocation *invocation, const char *word)
{
    char typed[64];
    size_t dashes = strspn(word, "-");
    snprintf(typed, sizeof(typed), "%.*s", (int)strcspn(word + dashes, "="), word + dashes);
    struct suggestion near = { .meant = typed };
    for (const struct option *o = invocation->command->options; o != NULL && o->name != NULL; o++) {
        if (!o->hidden)
            suggestion_offer(&near, o->name);
    }
    char hint[96] = "";
    if (near.name != NULL)
        snprintf(hint, sizeof(hint), "; did you mean --%s?", near.name);
    say_error("unknown option %s%s%s\n  Next: kvorum %s --help", dashes == 2 ? "--" : "-", typed,
              hint, invocation->path);
    return false;
}

/* Take the option at argv[*at], and its value; *at is then its last word. */
static bool take_option(struct invocation *invocation, int argc, char **argv, int *at)
{
    const char *word = argv[*at];
    const struct option *options = invocation->command->options, *option;
    const char *value = NULL;
    if (word[1] == '-') {
        size_t size = strcspn(word + 2, "=");
        option = find_long(options, word + 2, size);
        value = word[2 + size] == '=' ? word + 2 + size + 1 : NULL;
    } else {
        option = find_letter(options, word[1]);
        value = word[2] != '\0' ? word + 2 : NULL;
    }
    if (option == NULL)
        return say_unknown(invocation, word);
    if (option->kind == OPTION_FLAG) {
        if (value != NULL) {
            say_error("--%s takes no value", option->name);
            return false;
        }
        value = "yes";
    } else if (value == NULL) {
        if (*at + 1 >= argc) {
            say_error("--%s needs a value: --%s %s", option->name, option->name, option->argument);
            return false;
        }
        value = argv[++*at];
    }
    invocation->values[option - options] = value;
    return check_value(option, value);
}

static bool take_argument(struct invocation *invocation, const char *word)
{
    if (invocation->argument_count >= invocation->command->argument_max) {
        say_error("'%s' is one argument too many\n  Usage: kvorum %s %s", word, invocation->path,
                  invocation->command->arguments);
        return false;
    }
    invocation->arguments[invocation->argument_count++] = word;
    return true;
}

static bool asks_for_help(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return true;
    }
    return false;
}

/* What stands in the environment is checked like what was typed. */
static bool check_environment(const struct invocation *invocation)
{
    const struct option *options = invocation->command->options;
    for (const struct option *o = options; o != NULL && o->name != NULL; o++) {
        const char *value = o->environment == NULL ? NULL : getenv(o->environment);
        if (value != NULL && invocation->values[o - options] == NULL && !check_value(o, value)) {
            say_note("  Next: correct the environment variable %s", o->environment);
            return false;
        }
    }
    return true;
}

bool options_parse(struct invocation *invocation, int argc, char **argv)
{
    assert(invocation->command->argument_max <= ARGUMENTS_MAX);
    invocation->help = asks_for_help(argc, argv);
    if (invocation->help)
        return true;
    bool only_arguments = false;
    for (int i = 0; i < argc; i++) {
        const char *word = argv[i];
        if (!only_arguments && strcmp(word, "--") == 0) {
            only_arguments = true;
            continue;
        }
        bool is_option = !only_arguments && word[0] == '-' && word[1] != '\0';
        if (is_option ? !take_option(invocation, argc, argv, &i) : !take_argument(invocation, word))
            return false;
    }
    if (invocation->argument_count < invocation->command->argument_min) {
        say_error("%s needs %s\n  Next: kvorum %s --help", invocation->path,
                  invocation->command->arguments, invocation->path);
        return false;
    }
    return check_environment(invocation);
}

const char *option_text(const struct invocation *invocation, const char *name)
{
    const struct option *options = invocation->command->options;
    const struct option *option = find_long(options, name, strlen(name));
    assert(option != NULL);
    const char *given = invocation->values[option - options];
    if (given == NULL && option->environment != NULL)
        given = getenv(option->environment);
    return given != NULL ? given : option->fallback;
}

int64_t option_number(const struct invocation *invocation, const char *name, int64_t otherwise)
{
    const char *text = option_text(invocation, name);
    int64_t number;
    return text != NULL && option_read_number(text, INT64_MIN, INT64_MAX, &number) ? number
                                                                                   : otherwise;
}

bool option_flag(const struct invocation *invocation, const char *name)
{
    return option_text(invocation, name) != NULL;
}
