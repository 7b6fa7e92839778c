/* SPDX-License-Identifier: Apache-2.0 */
/** Commands and their options as const tables.  Parsing, --help, hints and shell completion all
 *  come from them (command_table.c), so none can disagree.
 *
 *      kvorum COMMAND [SUBCOMMAND] [--name VALUE | --name=VALUE | -x VALUE | --flag]... ARGUMENT...
 *
 *  `--` ends the options; `-` alone is an argument (standard input).  Thread: one. */
#ifndef CLI_OPTION_H
#define CLI_OPTION_H

#include <stdbool.h>
#include <stdint.h>

enum { OPTIONS_MAX = 32, ARGUMENTS_MAX = 8 };

enum option_kind {
    OPTION_TEXT,
    OPTION_FLAG,
    OPTION_NUMBER, /* within minimum..maximum; k, M and G stand for thousands */
    OPTION_CHOICE, /* one of the words of `argument`, which reads a|b|c */
    OPTION_LEVEL,  /* a quorum: a number or a word */
    OPTION_NODES,  /* ADDR:PORT, several with commas */
};

struct option {
    const char *name; /* without dashes; NULL ends a table */
    char letter;      /* 0: none */
    enum option_kind kind;
    const char *argument;    /* as help shows it; NULL for flags */
    const char *fallback;    /* the default; NULL: none */
    const char *environment; /* variable that goes before the default; NULL: none */
    const char *help;
    int64_t minimum, maximum;
    bool hidden; /* parsed, but in no help */
};

struct invocation;

struct command {
    const char *name; /* NULL ends a table */
    const char *arguments;
    const char *summary;          /* one line */
    const char *details;          /* more lines for --help; NULL: none */
    const struct option *options; /* NULL: none */
    int argument_min, argument_max;
    int (*run)(const struct invocation *invocation); /* returns an exit code */
    const struct command *children;                  /* subcommands; then the rest is not used */
    /** Takes its name (argv[0]) and everything after it by itself. */
    int (*run_raw)(int argc, char **argv);
};

struct invocation {
    const struct command *command;
    char path[64];                   /* "demo start" */
    const char *values[OPTIONS_MAX]; /* by place in command->options; NULL: not given */
    const char *arguments[ARGUMENTS_MAX];
    int argument_count;
    bool help; /* --help was among the words; nothing else was checked then */
};

/** Parse argv[0..argc) (what follows the command's name) into `invocation`, whose command and path
 *  are set.  False after saying what is wrong. */
bool options_parse(struct invocation *invocation, int argc, char **argv);

/** The value given, or of the environment, or the default; NULL when there is none of them.  `name`
 *  must be in the command's table. */
const char *option_text(const struct invocation *invocation, const char *name);
/** Values were checked when parsed.  `otherwise` when neither given nor defaulted. */
int64_t option_number(const struct invocation *invocation, const char *name, int64_t otherwise);
bool option_flag(const struct invocation *invocation, const char *name);

/** The text is a number within the range; then *ret is it. */
bool option_read_number(const char *text, int64_t minimum, int64_t maximum, int64_t *ret);

#endif
