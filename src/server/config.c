/* SPDX-License-Identifier: Apache-2.0 */
/* Where values come from: the file (through libinih, which splits lines into names and values), the
 * environment, the command line.  What a value may be is told by config_kinds.c. */
#include "server/config.h"

#include <assert.h>
#include <ctype.h>
#include <errno.h>
#include <ini.h>
#include <stdio.h>
#include <unistd.h>

enum { PROBLEMS_SIZE_MAX = 1 << 20, LINE_SIZE_MAX = 198, NAME_MAX_SIZE = 64 };

static const char standard_file[] = "kvorum.conf", environment_prefix[] = "KVORUM_";

void config_problems_init(struct config_problems *problems)
{
    *problems = (struct config_problems){ 0 };
    buffer_init(&problems->text, PROBLEMS_SIZE_MAX);
}

void config_problems_done(struct config_problems *problems)
{
    buffer_done(&problems->text);
}

static void note(struct config_problems *problems, const char *where, const char *what)
{
    buffer_printf(&problems->text, "%s: %s\n", where, what);
    problems->count++;
}

/* --- names ----------------------------------------------------------------------------------- */

const struct config_option *config_find(const char *section, const char *key)
{
    for (size_t i = 0; i < config_option_count; i++) {
        if (strcmp(config_options[i].section, section) == 0 &&
            strcmp(config_options[i].key, key) == 0)
            return &config_options[i];
    }
    return NULL;
}

static const struct config_option *find_flag(const char *flag)
{
    for (size_t i = 0; i < config_option_count; i++) {
        if (config_options[i].flag != NULL && strcmp(config_options[i].flag, flag) == 0)
            return &config_options[i];
    }
    return NULL;
}

/* Letters to add, drop or change to come from `a` to `b` (Levenshtein), for texts below 64 bytes.
 */
static unsigned distance(const char *a, const char *b)
{
    unsigned row[NAME_MAX_SIZE + 1];
    size_t size = strlen(b);
    if (size > NAME_MAX_SIZE || strlen(a) > NAME_MAX_SIZE)
        return UINT32_MAX;
    for (size_t j = 0; j <= size; j++)
        row[j] = (unsigned)j;
    for (size_t i = 0; a[i] != '\0'; i++) {
        unsigned diagonal = row[0];
        row[0] = (unsigned)i + 1;
        for (size_t j = 0; j < size; j++) {
            unsigned best = diagonal + (a[i] != b[j]);
            diagonal = row[j + 1];
            best = best < row[j] + 1 ? best : row[j] + 1;
            row[j + 1] = best < diagonal + 1 ? best : diagonal + 1;
        }
    }
    return row[size];
}

/* The option whose key is nearest; one of the same section wins ties, and a key that is right in
 * another section wins over all. */
static const struct config_option *nearest_key(const char *section, const char *key)
{
    const struct config_option *best = NULL;
    unsigned best_cost = UINT32_MAX;
    for (size_t i = 0; i < config_option_count; i++) {
        unsigned away = distance(key, config_options[i].key);
        unsigned cost = away == UINT32_MAX ? away : 2 * away;
        if (away > 0 && away < UINT32_MAX)
            cost += strcmp(section, config_options[i].section) != 0 ? 3 : 0;
        if (cost >= best_cost)
            continue;
        best_cost = cost;
        best = &config_options[i];
    }
    return best;
}

static const struct config_option *nearest_flag(const char *flag)
{
    const struct config_option *best = NULL;
    unsigned best_away = UINT32_MAX;
    for (size_t i = 0; i < config_option_count; i++) {
        unsigned away =
            config_options[i].flag == NULL ? UINT32_MAX : distance(flag, config_options[i].flag);
        if (away >= best_away)
            continue;
        best_away = away;
        best = &config_options[i];
    }
    return best;
}

static void note_unknown(struct config_problems *problems, const char *where, const char *section,
                         const char *key)
{
    char text[512];
    const struct config_option *nearest = nearest_key(section, key);
    if (nearest == NULL)
        snprintf(text, sizeof(text), "[%.60s] %.60s is no option", section, key);
    else
        snprintf(text, sizeof(text), "[%.60s] %.60s is no option; the nearest is [%s] %s", section,
                 key, nearest->section, nearest->key);
    note(problems, where, text);
}

static void set(struct config *config, const struct config_option *option, const char *text,
                const char *where, struct config_origin origin, struct config_problems *problems)
{
    char scratch[320], line[512];
    const char *problem = config_set(config, option, text, scratch, sizeof(scratch));
    if (problem == NULL) {
        config->origins[option - config_options] = origin;
        return;
    }
    snprintf(line, sizeof(line), "[%s] %s: %s", option->section, option->key, problem);
    note(problems, where, line);
}

void config_init(struct config *config)
{
    *config = (struct config){ 0 };
    for (size_t i = 0; i < config_option_count; i++) {
        char scratch[320];
        const struct config_option *option = &config_options[i];
        const char *problem =
            config_set(config, option, option->standard, scratch, sizeof(scratch));
        assert(problem == NULL); /* else the table is wrong */
    }
}

/* --- the file -------------------------------------------------------------------------------- */

struct file_reader {
    struct config *config;
    struct config_problems *problems;
    FILE *file;
    const char *path;
    unsigned line;
};

static void note_line(struct file_reader *reader, const char *what)
{
    char where[CONFIG_TEXT_MAX + 32];
    snprintf(where, sizeof(where), "%s:%u", reader->path, reader->line);
    note(reader->problems, where, what);
}

static bool skip_rest_of_line(FILE *file)
{
    int c = getc(file);
    bool any = c != EOF && c != '\n';
    while (c != EOF && c != '\n')
        c = getc(file);
    return any;
}

static bool line_is_sound(struct file_reader *reader, const char *text)
{
    if (*text == '\0' || *text == ';' || *text == '#')
        return true;
    if (*text == '[' && strchr(text, ']') == NULL) {
        note_line(reader, "a section has no closing ]");
        return false;
    }
    if (*text == '[' || strpbrk(text, "=:") != NULL)
        return true;
    note_line(reader, "this is neither [section] nor key = value");
    return false;
}

/* libinih reads through this, so that we know the line, see what it would drop without a word, and
 * keep it from joining indented lines to the value above. */
static char *read_line(char *text, int size, void *context)
{
    struct file_reader *reader = context;
    if (fgets(text, size, reader->file) == NULL)
        return NULL;
    reader->line++;
    size_t length = strlen(text);
    bool whole = length > 0 && text[length - 1] == '\n';
    if (!whole && skip_rest_of_line(reader->file)) {
        char what[64];
        snprintf(what, sizeof(what), "the line is longer than %d bytes", LINE_SIZE_MAX);
        note_line(reader, what);
        text[0] = '\0';
        return text;
    }
    while (length > 0 && isspace((unsigned char)text[length - 1]))
        text[--length] = '\0';
    size_t indent = strspn(text, " \t");
    memmove(text, text + indent, length - indent + 1);
    if (!line_is_sound(reader, text))
        text[0] = '\0';
    return text;
}

static int take_pair(void *context, const char *section, const char *key, const char *value)
{
    struct file_reader *reader = context;
    char where[CONFIG_TEXT_MAX + 32];
    snprintf(where, sizeof(where), "%s:%u", reader->path, reader->line);
    const struct config_option *option = config_find(section, key);
    if (option == NULL)
        note_unknown(reader->problems, where, section, key);
    else
        set(reader->config, option, value, where,
            (struct config_origin){ CONFIG_FILE, reader->line }, reader->problems);
    return 1;
}

void config_read_file(struct config *config, const char *path, struct config_problems *problems)
{
    FILE *file = fopen(path, "r");
    if (file == NULL) {
        note(problems, path, strerror(errno));
        return;
    }
    snprintf(config->file, sizeof(config->file), "%s", path);
    struct file_reader reader = { config, problems, file, config->file, 0 };
    if (ini_parse_stream(read_line, &reader, take_pair, &reader) != 0 && problems->count == 0)
        note(problems, path, "this is not a configuration file");
    if (ferror(file))
        note(problems, path, "reading failed");
    fclose(file);
}

/* --- the environment -------------------------------------------------------------------------- */

static void lower(char *text)
{
    for (; *text != '\0'; text++)
        *text = (char)tolower((unsigned char)*text);
}

/* KVORUM_LIMITS__VALUE_SIZE=1MB.  Names without the double underscore are not ours to judge. */
static void read_variable(struct config *config, const char *variable,
                          struct config_problems *problems)
{
    char name[160];
    size_t size = strcspn(variable, "=");
    if (size >= sizeof(name) || variable[size] == '\0')
        return;
    memcpy(name, variable, size);
    name[size] = '\0';
    char section[160];
    snprintf(section, sizeof(section), "%s", name + strlen(environment_prefix));
    char *key = strstr(section, "__");
    if (key == NULL)
        return;
    *key = '\0';
    key += 2;
    lower(section);
    lower(key);
    const struct config_option *option = config_find(section, key);
    if (option == NULL)
        note_unknown(problems, name, section, key);
    else
        set(config, option, variable + size + 1, name,
            (struct config_origin){ CONFIG_ENVIRONMENT, 0 }, problems);
}

void config_read_environment(struct config *config, char *const *environment,
                             struct config_problems *problems)
{
    for (; environment != NULL && *environment != NULL; environment++) {
        if (strncmp(*environment, environment_prefix, strlen(environment_prefix)) == 0)
            read_variable(config, *environment, problems);
    }
}

/* --- the command line ------------------------------------------------------------------------- */

static const struct config_option *option_of_flag(const char *flag, const char *where,
                                                  struct config_problems *problems)
{
    const struct config_option *option = find_flag(flag);
    if (option != NULL)
        return option;
    char section[160], text[256];
    snprintf(section, sizeof(section), "%s", strncmp(flag, "--", 2) == 0 ? flag + 2 : flag);
    char *key = strchr(section, '.');
    if (key != NULL) {
        *key++ = '\0';
        option = config_find(section, key);
        if (option == NULL)
            note_unknown(problems, where, section, key);
        return option;
    }
    const struct config_option *nearest = nearest_flag(flag);
    snprintf(text, sizeof(text), "no such flag%s%s", nearest == NULL ? "" : "; the nearest is ",
             nearest == NULL ? "" : nearest->flag);
    note(problems, where, text);
    return NULL;
}

static bool is_flag(const char *argument)
{
    return strncmp(argument, "--", 2) == 0 && argument[2] != '\0';
}

/* Take the flag at arguments[at], "--flag value" or "--flag=value"; returns how many were used. */
static int read_flag(struct config *config, int count, char *const *arguments, int at,
                     struct config_problems *problems)
{
    char flag[160];
    size_t size = strcspn(arguments[at], "=");
    snprintf(flag, sizeof(flag), "%.*s", (int)size, arguments[at]);
    bool attached = arguments[at][size] == '=';
    bool separate = !attached && at + 1 < count && !is_flag(arguments[at + 1]);
    int used = separate ? 2 : 1;
    if (strcmp(flag, "--config") == 0)
        return used;
    const struct config_option *option = option_of_flag(flag, flag, problems);
    if (option == NULL)
        return used;
    const char *value = attached ? arguments[at] + size + 1 : separate ? arguments[at + 1] : NULL;
    if (value == NULL && option->kind == CONFIG_BOOL)
        value = "yes";
    if (value == NULL)
        note(problems, flag, "a value is missing");
    else
        set(config, option, value, flag, (struct config_origin){ CONFIG_FLAG, 0 }, problems);
    return used;
}

void config_read_arguments(struct config *config, int count, char *const *arguments,
                           struct config_problems *problems)
{
    int at = 0;
    while (at < count) {
        if (is_flag(arguments[at])) {
            at += read_flag(config, count, arguments, at, problems);
            continue;
        }
        note(problems, arguments[at], "this is not a flag; flags begin with --");
        at++;
    }
}

static const char *file_of_arguments(int count, char *const *arguments)
{
    const char *path = NULL;
    for (int i = 0; i < count; i++) {
        if (strncmp(arguments[i], "--config=", 9) == 0)
            path = arguments[i] + 9;
        else if (strcmp(arguments[i], "--config") == 0 && i + 1 < count)
            path = arguments[i + 1];
    }
    return path;
}

/* --- all of it -------------------------------------------------------------------------------- */

bool config_load(struct config *ret_config, int argument_count, char *const *arguments,
                 char *const *environment, struct config_problems *problems)
{
    config_init(ret_config);
    const char *path = file_of_arguments(argument_count, arguments);
    if (path == NULL && access(standard_file, F_OK) == 0)
        path = standard_file;
    if (path != NULL)
        config_read_file(ret_config, path, problems);
    config_read_environment(ret_config, environment, problems);
    config_read_arguments(ret_config, argument_count, arguments, problems);
    if (problems->count == 0) /* rules between values mean little while the values are wrong */
        config_check(ret_config, problems);
    return problems->count == 0;
}
