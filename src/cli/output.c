/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/output.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/base64.h"
#include "cli/message.h"

enum output_format output_format_parse(const char *text)
{
    switch (text[0]) {
    case 'j':
        return OUTPUT_JSON;
    case 'c':
        return OUTPUT_CSV;
    case 'p':
        return OUTPUT_PLAIN;
    default:
        return OUTPUT_TABLE;
    }
}

/* --- figures -------------------------------------------------------------------------------- */

static char *next_text(void)
{
    static _Thread_local char texts[8][128];
    static _Thread_local unsigned next;
    return texts[next++ % 8];
}

const char *text_of_count(uint64_t number)
{
    char digits[32], *text = next_text(), *out = text;
    int size = snprintf(digits, sizeof(digits), "%" PRIu64, number);
    for (int i = 0; i < size; i++) {
        if (i > 0 && (size - i) % 3 == 0)
            *out++ = ',';
        *out++ = digits[i];
    }
    *out = '\0';
    return text;
}

const char *text_of_size(uint64_t bytes)
{
    static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB", "EB" };
    char *text = next_text();
    double value = (double)bytes;
    int unit = 0;
    while (value >= 999.5 && unit < 6) {
        value /= 1000;
        unit++;
    }
    snprintf(text, 128, value < 9.95 && unit > 0 ? "%.1f %s" : "%.0f %s", value, units[unit]);
    return text;
}

const char *text_of_time(double seconds)
{
    char *text = next_text();
    if (seconds <= 0)
        snprintf(text, 128, "0 s");
    else if (seconds < 0.9995)
        snprintf(text, 128, "%.0f ms", seconds * 1000);
    else if (seconds < 99.5)
        snprintf(text, 128, seconds < 9.95 ? "%.1f s" : "%.0f s", seconds);
    else if (seconds < 5940)
        snprintf(text, 128, "%.0f min", seconds / 60);
    else if (seconds < 172800)
        snprintf(text, 128, "%ld h %02ld min", (long)seconds / 3600, (long)seconds % 3600 / 60);
    else
        snprintf(text, 128, "%.0f days", seconds / 86400);
    return text;
}

const char *text_of_bar(double part, unsigned width)
{
    static const char *const eighths[] = { "", "▏", "▎", "▍", "▌", "▋", "▊", "▉" };
    char *text = next_text();
    if (width > 30)
        width = 30;
    part = part < 0 ? 0 : part > 1 ? 1 : part;
    unsigned filled = (unsigned)(part * width * 8 + 0.5), column = 0;
    text[0] = '\0';
    for (; column < filled / 8; column++)
        memcpy(text + column * 3, "█", 4);
    char *out = text + column * 3;
    if (filled % 8 != 0) {
        out += snprintf(out, 8, "%s", eighths[filled % 8]);
        column++;
    }
    snprintf(out, 128 - (size_t)(out - text), "%*s", (int)(width - column), "");
    return text;
}

/* --- JSON and CSV --------------------------------------------------------------------------- */

/* `text` with each byte that is not part of UTF-8 replaced. */
static json_t *repaired_text(struct bytes text)
{
    struct buffer out;
    buffer_init(&out, text.size * 3 + 16);
    for (size_t i = 0; i < text.size;) {
        size_t size = text.data[i] < 0x80 ? 1 : 4;
        json_t *one = NULL;
        for (; size > 0 && one == NULL; size -= one == NULL)
            one = i + size <= text.size ? json_stringn((const char *)text.data + i, size) : NULL;
        if (one != NULL)
            buffer_append(&out, text.data + i, size);
        else
            buffer_append_text(&out, "\xef\xbf\xbd");
        i += one != NULL ? size : 1;
        json_decref(one);
    }
    json_t *json =
        out.failed ? NULL : json_stringn(out.size == 0 ? "" : (char *)out.data, out.size);
    buffer_done(&out);
    return json;
}

json_t *json_text(struct bytes text)
{
    json_t *json = json_stringn(text.size == 0 ? "" : (const char *)text.data, text.size);
    return json != NULL ? json : repaired_text(text);
}

void json_print_text(FILE *file, struct bytes text)
{
    json_t *json = json_text(text);
    if (json == NULL || json_dumpf(json, file, JSON_ENCODE_ANY) != 0)
        fputs("null", file);
    json_decref(json);
}

void json_set_base64(json_t *object, const char *name, struct bytes bytes)
{
    struct buffer encoded;
    buffer_init(&encoded, bytes.size * 2 + 16);
    base64_append(&encoded, bytes);
    json_object_set_new(object, name, json_text(buffer_bytes(&encoded)));
    buffer_done(&encoded);
}

void json_set_bytes(json_t *object, const char *name, struct bytes bytes)
{
    char other[64];
    json_t *text = json_stringn(bytes.size == 0 ? "" : (const char *)bytes.data, bytes.size);
    if (text != NULL) {
        json_object_set_new(object, name, text);
        return;
    }
    snprintf(other, sizeof(other), "%s_base64", name);
    json_set_base64(object, other, bytes);
}

int json_print(json_t *json, FILE *file)
{
    if (json == NULL)
        return fail(EXIT_INTERNAL, "out of memory");
    int outcome = json_dumpf(json, file, JSON_INDENT(2) | JSON_ENCODE_ANY);
    fputc('\n', file);
    json_decref(json);
    return outcome == 0 ? EXIT_DONE : fail(EXIT_INTERNAL, "cannot write to standard output");
}

void csv_print(FILE *file, struct bytes text)
{
    bool plain = true;
    for (size_t i = 0; i < text.size; i++)
        plain = plain && strchr(",\"\r\n", text.data[i]) == NULL;
    if (plain) {
        fwrite(text.data, 1, text.size, file);
        return;
    }
    fputc('"', file);
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == '"')
            fputc('"', file);
        fputc(text.data[i], file);
    }
    fputc('"', file);
}

/* --- tables --------------------------------------------------------------------------------- */

void table_init(struct table *table, const char *const *columns)
{
    *table = (struct table){ .columns = columns };
    arena_init(&table->arena, 64 << 20);
    while (columns[table->column_count] != NULL)
        table->column_count++;
    table->filled = table->column_count;
}

void table_done(struct table *table)
{
    arena_done(&table->arena);
}

static bool begin_row(struct table *table)
{
    struct table_row *row = arena_new(&table->arena, struct table_row);
    if (row == NULL)
        return false;
    if (table->last == NULL)
        table->first = row;
    else
        table->last->next = row;
    table->last = row;
    table->filled = 0;
    return true;
}

void table_cell(struct table *table, const char *format, ...)
{
    char text[512];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (table->filled == table->column_count && !begin_row(table))
        table->failed = true;
    const char *copy = table->failed ? NULL : arena_printf(&table->arena, "%s", text);
    if (copy == NULL) {
        table->failed = true;
        return;
    }
    table->last->cells[table->filled++] = copy;
}

static unsigned columns_of(const char *text)
{
    unsigned count = 0;
    for (; *text != '\0'; text++)
        count += ((unsigned char)*text & 0xc0) != 0x80;
    return count;
}

static const char *title(const char *column)
{
    return column + (*column == '>');
}

static void print_line(const struct table *table, const char *const *cells, const unsigned *widths,
                       FILE *file)
{
    for (uint32_t i = 0; i < table->column_count; i++) {
        const char *cell = cells[i] == NULL ? "" : cells[i];
        unsigned blanks = widths[i] - columns_of(cell);
        bool right = table->columns[i][0] == '>', last = i + 1 == table->column_count;
        fprintf(file, "%*s%s%*s", right ? (int)blanks : 0, "", cell,
                right || last ? 0 : (int)blanks, "");
        fputs(last ? "\n" : "  ", file);
    }
}

static void print_aligned(const struct table *table, bool heading, FILE *file)
{
    unsigned widths[TABLE_COLUMNS_MAX] = { 0 };
    const char *titles[TABLE_COLUMNS_MAX];
    for (uint32_t i = 0; i < table->column_count; i++) {
        titles[i] = title(table->columns[i]);
        widths[i] = heading ? columns_of(titles[i]) : 0;
    }
    for (const struct table_row *row = table->first; row != NULL; row = row->next) {
        for (uint32_t i = 0; i < table->column_count; i++) {
            unsigned width = row->cells[i] == NULL ? 0 : columns_of(row->cells[i]);
            widths[i] = width > widths[i] ? width : widths[i];
        }
    }
    if (heading)
        print_line(table, titles, widths, file);
    for (const struct table_row *row = table->first; row != NULL; row = row->next)
        print_line(table, row->cells, widths, file);
}

static void print_csv(const struct table *table, FILE *file)
{
    for (uint32_t i = 0; i < table->column_count; i++)
        fprintf(file, "%s%s", title(table->columns[i]), i + 1 < table->column_count ? "," : "\n");
    for (const struct table_row *row = table->first; row != NULL; row = row->next) {
        for (uint32_t i = 0; i < table->column_count; i++) {
            csv_print(file, bytes_of_string(row->cells[i] == NULL ? "" : row->cells[i]));
            fputc(i + 1 < table->column_count ? ',' : '\n', file);
        }
    }
}

/* A cell of a number column as a number, when it is one. */
static json_t *cell_value(const char *column, const char *cell)
{
    char *end;
    double number = column[0] == '>' && *cell != '\0' ? strtod(cell, &end) : 0;
    if (column[0] != '>' || *cell == '\0' || *end != '\0')
        return json_text(bytes_of_string(cell));
    bool whole = number == (double)(json_int_t)number;
    return whole ? json_integer((json_int_t)number) : json_real(number);
}

static void print_json(const struct table *table, FILE *file)
{
    json_t *rows = json_array();
    for (const struct table_row *row = table->first; row != NULL; row = row->next) {
        json_t *object = json_object();
        for (uint32_t i = 0; i < table->column_count; i++) {
            const char *cell = row->cells[i] == NULL ? "" : row->cells[i];
            json_object_set_new(object, title(table->columns[i]),
                                cell_value(table->columns[i], cell));
        }
        json_array_append_new(rows, object);
    }
    (void)json_print(rows, file);
}

void table_print(const struct table *table, enum output_format format, FILE *file)
{
    if (table->failed)
        say_error("out of memory: not every row is shown");
    switch (format) {
    case OUTPUT_JSON:
        print_json(table, file);
        break;
    case OUTPUT_CSV:
        print_csv(table, file);
        break;
    case OUTPUT_TABLE:
    case OUTPUT_PLAIN:
        print_aligned(table, format == OUTPUT_TABLE, file);
    }
}
