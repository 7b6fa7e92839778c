/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/option.h"

#include <stdio.h>
#include <string.h>

#include "cli/command_table.h"
#include "cli/suggest.h"
#include "support/rows.h"

static const struct option options[] = {
    { .name = "node",
      .kind = OPTION_NODES,
      .argument = "ADDR",
      .fallback = "here",
      .environment = "KVORUM_OPTION_TEST",
      .help = "." },
    { .name = "output",
      .letter = 'o',
      .kind = OPTION_CHOICE,
      .argument = "table|json",
      .help = "." },
    { .name = "keys",
      .kind = OPTION_NUMBER,
      .argument = "COUNT",
      .minimum = 1,
      .maximum = 5000000,
      .help = "." },
    { .name = "w", .kind = OPTION_LEVEL, .argument = "N", .help = "." },
    { .name = "verify", .letter = 'v', .kind = OPTION_FLAG, .help = "." },
    { .name = NULL },
};
static const struct command command = {
    .name = "test", .arguments = "[A] [B]", .options = options, .argument_max = 2
};

struct row {
    const char *name;
    const char *words;   /* separated by blanks; _ stands for an empty word */
    const char *outcome; /* "node output keys w verify : arguments", - for NULL; NULL: refused */
};

static const struct row rows[] = {
    { "nothing gives the defaults", "", "here - - - - :" },
    { "long options with a blank or =", "--keys 5 --node=x", "x - 5 - - :" },
    { "an empty value is a value", "--node=", " - - - - :" },
    { "letters, also together with their value", "-ojson -v", "here json - - yes :" },
    { "arguments between options", "a --keys 1k b", "here - 1k - - : a b" },
    { "a dash alone is an argument", "-", "here - - - - : -" },
    { "two dashes end the options", "-- --keys", "here - - - - : --keys" },
    { "the last one counts", "--keys 1 --keys 2", "here - 2 - - :" },
    { "levels are numbers or words", "--w quorum", "here - - quorum - :" },
    { "levels may be of zones", "--w local_quorum", "here - - local_quorum - :" },
    { "an unknown option", "--kesy 5", NULL },
    { "an unknown letter", "-x", NULL },
    { "a value is missing", "--keys", NULL },
    { "a flag takes no value", "--verify=yes", NULL },
    { "no number", "--keys five", NULL },
    { "a number below the range", "--keys 0", NULL },
    { "a number above the range", "--keys 6M", NULL },
    { "a number that overflows", "--keys 99999999999999999999", NULL },
    { "no such choice", "-o jso", NULL },
    { "no such level", "--w most", NULL },
    { "one argument too many", "a b c", NULL },
};

static void append(char *text, size_t size, const char *word)
{
    size_t used = strlen(text);
    snprintf(text + used, size - used, "%s", word);
}

static void check(const void *context)
{
    const struct row *row = context;
    char words[256], text[256] = "", *argv[16];
    int argc = 0;
    snprintf(words, sizeof(words), "%s", row->words);
    for (char *at = words; *at != '\0' && argc < 16; at += strlen(at) + 1) {
        argv[argc++] = at;
        char *end = strchr(at, ' ');
        if (end == NULL)
            break;
        *end = '\0';
    }
    struct invocation invocation = { .command = &command, .path = "test" };
    bool parsed = options_parse(&invocation, argc, argv);
    assert_int_equal(parsed, row->outcome != NULL);
    if (!parsed)
        return;
    for (const struct option *o = options; o->name != NULL; o++) {
        const char *value = option_text(&invocation, o->name);
        append(text, sizeof(text), value == NULL ? "-" : value);
        append(text, sizeof(text), " ");
    }
    append(text, sizeof(text), ":");
    for (int i = 0; i < invocation.argument_count; i++) {
        append(text, sizeof(text), " ");
        append(text, sizeof(text), invocation.arguments[i]);
    }
    assert_string_equal(text, row->outcome);
}

static void environment_goes_before_the_default(void)
{
    struct invocation invocation = { .command = &command };
    setenv("KVORUM_OPTION_TEST", "there", 1);
    assert_true(options_parse(&invocation, 0, NULL));
    assert_string_equal(option_text(&invocation, "node"), "there");
    unsetenv("KVORUM_OPTION_TEST");
}

static void distances(void)
{
    assert_int_equal(suggest_distance("", ""), 0);
    assert_int_equal(suggest_distance("get", "get"), 0);
    assert_int_equal(suggest_distance("gte", "get"), 1);
    assert_int_equal(suggest_distance("kitten", "sitting"), 3);
    assert_int_equal(suggest_distance("", "abc"), 3);
}

static void near_names_are_offered(void)
{
    struct suggestion near = { .meant = "improt" };
    for (const struct command *c = command_table; c->name != NULL; c++)
        suggestion_offer(&near, c->name);
    assert_string_equal(near.name, "import");
    struct suggestion far = { .meant = "xyzzy" };
    for (const struct command *c = command_table; c->name != NULL; c++)
        suggestion_offer(&far, c->name);
    assert_null(far.name);
}

static void check_table(const struct command *commands)
{
    for (const struct command *c = commands; c->name != NULL; c++) {
        assert_non_null(c->summary);
        assert_int_equal((c->run != NULL) + (c->children != NULL) + (c->run_raw != NULL), 1);
        int count = 0;
        for (const struct option *o = c->options; o != NULL && o->name != NULL; o++, count++) {
            assert_non_null(o->help);
            assert_int_equal(o->argument == NULL, o->kind == OPTION_FLAG);
        }
        assert_true(count <= OPTIONS_MAX && c->argument_max <= ARGUMENTS_MAX);
        if (c->children != NULL)
            check_table(c->children);
    }
}

static void the_table_is_sound(void)
{
    check_table(command_table);
}

static const struct named_test tests[] = {
    { "the environment goes before the default", environment_goes_before_the_default },
    { "edit distances", distances },
    { "near names are offered, far ones are not", near_names_are_offered },
    { "the table of commands is sound", the_table_is_sound },
};

int main(void)
{
    return RUN_ROWS("options", rows, check) + RUN_TESTS("commands", tests);
}
