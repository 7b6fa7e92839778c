/* SPDX-License-Identifier: Apache-2.0 */
/* The kinds of options: how a value of each is read, written and described, a row each. */
#include "server/config.h"

#include "cluster/replication/quorum.h"
#include "cluster/ring/ring.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define KB (UINT64_C(1) << 10)
#define MB (UINT64_C(1) << 20)
#define GB (UINT64_C(1) << 30)

/* One of `read` and `fits`, as the place in struct config is a number or a text. */
struct value_kind {
    bool (*read)(const struct config_option *option, const char *text, uint64_t *ret);
    void (*write)(const struct config_option *option, uint64_t value, char *ret, size_t size);
    bool (*fits)(const char *text);
    void (*describe)(const struct config_option *option, char *ret, size_t size);
};

/* --- texts ---------------------------------------------------------------------------------- */

static bool fits_text(const char *text)
{
    return strlen(text) <= CONFIG_TEXT_MAX;
}

static void describe_text(const struct config_option *option, char *ret, size_t size)
{
    (void)option;
    snprintf(ret, size, "a text of at most %d bytes", CONFIG_TEXT_MAX);
}

static bool fits_name(const char *text)
{
    return text[0] == '\0' || ring_name_valid(text);
}

static void describe_name(const struct config_option *option, char *ret, size_t size)
{
    (void)option;
    snprintf(ret, size, "1 to %d of letters, digits, - _ .", RING_NAME_MAX);
}

/* "off" is kept as "". */
static bool fits_address(const char *text)
{
    char host[RING_ADDRESS_MAX + 1];
    uint16_t port;
    return strlen(text) <= RING_ADDRESS_MAX &&
           (text[0] == '\0' || config_split_address(text, host, sizeof(host), &port));
}

static void describe_address(const struct config_option *option, char *ret, size_t size)
{
    (void)option;
    snprintf(ret, size, "HOST:PORT, or off");
}

/* --- numbers -------------------------------------------------------------------------------- */

static const struct unit {
    const char *name;
    uint64_t factor;
} units[] = {
    { "", 1 },    { "B", 1 },    { "K", KB }, { "KB", KB }, { "KiB", KB }, { "M", MB },
    { "MB", MB }, { "MiB", MB }, { "G", GB }, { "GB", GB }, { "GiB", GB },
};

static bool parse_number(const char *text, bool with_unit, uint64_t *ret)
{
    if (text[0] < '0' || text[0] > '9')
        return false;
    char *end;
    errno = 0;
    uint64_t value = strtoull(text, &end, 10);
    size_t unit_count = with_unit ? sizeof(units) / sizeof(units[0]) : 1;
    for (size_t i = 0; errno == 0 && i < unit_count; i++) {
        if (strcasecmp(end, units[i].name) != 0)
            continue;
        if (value > UINT64_MAX / units[i].factor)
            return false;
        *ret = value * units[i].factor;
        return true;
    }
    return false;
}

bool config_parse_size(const char *text, uint64_t *ret)
{
    return parse_number(text, true, ret);
}

static bool is_allowed(const struct config_option *option, uint64_t value)
{
    return value >= option->minimum && value <= option->maximum;
}

static bool read_number(const struct config_option *option, const char *text, uint64_t *ret)
{
    return parse_number(text, false, ret) && is_allowed(option, *ret);
}

static void write_number(const struct config_option *option, uint64_t value, char *ret, size_t size)
{
    (void)option;
    snprintf(ret, size, "%" PRIu64, value);
}

static void describe_number(const struct config_option *option, char *ret, size_t size)
{
    snprintf(ret, size, "a number from %" PRIu64 " to %" PRIu64, option->minimum, option->maximum);
}

static void describe_duration(const struct config_option *option, char *ret, size_t size)
{
    snprintf(ret, size, "a time in milliseconds, a number from %" PRIu64 " to %" PRIu64,
             option->minimum, option->maximum);
}

static bool read_size(const struct config_option *option, const char *text, uint64_t *ret)
{
    return parse_number(text, true, ret) && is_allowed(option, *ret);
}

static void write_size(const struct config_option *option, uint64_t value, char *ret, size_t size)
{
    static const char *const names[] = { "", "KB", "MB", "GB" };
    unsigned unit = 0;
    (void)option;
    while (unit < 3 && value != 0 && value % KB == 0) {
        value /= KB;
        unit++;
    }
    snprintf(ret, size, "%" PRIu64 "%s", value, names[unit]);
}

static void describe_size(const struct config_option *option, char *ret, size_t size)
{
    char low[32], high[32];
    write_size(option, option->minimum, low, sizeof(low));
    write_size(option, option->maximum, high, sizeof(high));
    snprintf(ret, size, "a size from %s to %s", low, high);
}

/* --- words ---------------------------------------------------------------------------------- */

static bool read_bool(const struct config_option *option, const char *text, uint64_t *ret)
{
    static const char *const words[2][4] = { { "no", "false", "off", "0" },
                                             { "yes", "true", "on", "1" } };
    (void)option;
    for (unsigned i = 0; i < 8; i++) {
        if (strcasecmp(text, words[i / 4][i % 4]) != 0)
            continue;
        *ret = i / 4;
        return true;
    }
    return false;
}

static void write_bool(const struct config_option *option, uint64_t value, char *ret, size_t size)
{
    (void)option;
    snprintf(ret, size, "%s", value ? "yes" : "no");
}

static void describe_bool(const struct config_option *option, char *ret, size_t size)
{
    (void)option;
    snprintf(ret, size, "yes or no");
}

static bool read_choice(const struct config_option *option, const char *text, uint64_t *ret)
{
    size_t size = strlen(text);
    uint64_t index = 0;
    for (const char *at = option->choices; *at != '\0'; index++) {
        size_t length = strcspn(at, "|");
        if (length == size && memcmp(at, text, size) == 0) {
            *ret = index;
            return true;
        }
        at += length + (at[length] == '|');
    }
    return false;
}

static void write_choice(const struct config_option *option, uint64_t index, char *ret, size_t size)
{
    const char *choice = option->choices;
    while (index-- > 0)
        choice += strcspn(choice, "|") + 1;
    snprintf(ret, size, "%.*s", (int)strcspn(choice, "|"), choice);
}

static void describe_choice(const struct config_option *option, char *ret, size_t size)
{
    snprintf(ret, size, "one of %s", option->choices);
}

static bool read_level(const struct config_option *option, const char *text, uint64_t *ret)
{
    uint32_t level;
    if (!quorum_level_parse(bytes_of_string(text), &level))
        return false;
    *ret = level;
    return quorum_level_word(level) != NULL || is_allowed(option, level);
}

static void write_level(const struct config_option *option, uint64_t level, char *ret, size_t size)
{
    const char *word = quorum_level_word((uint32_t)level);
    if (word != NULL)
        snprintf(ret, size, "%s", word);
    else
        write_number(option, level, ret, size);
}

static void describe_level(const struct config_option *option, char *ret, size_t size)
{
    snprintf(ret, size,
             "one, quorum, all, local_quorum, each_quorum, default or a number from %" PRIu64
             " to %" PRIu64,
             option->minimum, option->maximum);
}

/* --- the table ------------------------------------------------------------------------------ */

static const struct value_kind kinds[] = {
    [CONFIG_TEXT] = { .fits = fits_text, .describe = describe_text },
    [CONFIG_NAME] = { .fits = fits_name, .describe = describe_name },
    [CONFIG_ADDRESS] = { .fits = fits_address, .describe = describe_address },
    [CONFIG_NUMBER] = { read_number, write_number, NULL, describe_number },
    [CONFIG_SIZE] = { read_size, write_size, NULL, describe_size },
    [CONFIG_DURATION] = { read_number, write_number, NULL, describe_duration },
    [CONFIG_BOOL] = { read_bool, write_bool, NULL, describe_bool },
    [CONFIG_CHOICE] = { read_choice, write_choice, NULL, describe_choice },
    [CONFIG_LEVEL] = { read_level, write_level, NULL, describe_level },
};

static bool take_text(const struct config_option *option, const char *text, char *place)
{
    if (option->kind == CONFIG_ADDRESS && strcmp(text, "off") == 0)
        text = "";
    if (!kinds[option->kind].fits(text))
        return false;
    snprintf(place, CONFIG_TEXT_MAX + 1, "%s", text);
    return true;
}

static bool take_number(const struct config_option *option, const char *text, uint64_t *place)
{
    uint64_t value = 0;
    if (!kinds[option->kind].read(option, text, &value))
        return false;
    *place = value;
    return true;
}

const char *config_set(struct config *config, const struct config_option *option, const char *text,
                       char *scratch, size_t scratch_size)
{
    void *place = (char *)config + option->offset;
    bool taken = kinds[option->kind].fits != NULL ? take_text(option, text, place)
                                                  : take_number(option, text, place);
    if (taken)
        return NULL;
    char wanted[160];
    config_describe(option, wanted, sizeof(wanted));
    snprintf(scratch, scratch_size, "%.80s is not %s", text[0] == '\0' ? "\"\"" : text, wanted);
    return scratch;
}

void config_format(const struct config *config, const struct config_option *option, char *ret_text,
                   size_t size)
{
    const void *place = (const char *)config + option->offset;
    const struct value_kind *kind = &kinds[option->kind];
    if (kind->write != NULL) {
        kind->write(option, *(const uint64_t *)place, ret_text, size);
        return;
    }
    const char *text = place;
    bool off = option->kind == CONFIG_ADDRESS && text[0] == '\0';
    snprintf(ret_text, size, "%s", off ? "off" : text);
}

void config_describe(const struct config_option *option, char *ret_text, size_t size)
{
    kinds[option->kind].describe(option, ret_text, size);
}
