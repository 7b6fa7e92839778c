/* SPDX-License-Identifier: Apache-2.0 */
/** What commands print on standard output: rows as table, JSON, CSV or plain lines (-o), figures
 *  and times the way people read them. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <jansson.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/buffer.h"

enum output_format { OUTPUT_TABLE, OUTPUT_JSON, OUTPUT_CSV, OUTPUT_PLAIN };

/** `text` is one of table, json, csv, plain: checked by the option table. */
enum output_format output_format_parse(const char *text);

enum { TABLE_COLUMNS_MAX = 16 };

struct table_row {
    struct table_row *next;
    const char *cells[TABLE_COLUMNS_MAX];
};

/** Rows of text.  A column whose name begins with '>' holds numbers, which stand to the right. */
struct table {
    struct arena arena;
    const char *const *columns; /* ends in NULL */
    uint32_t column_count;
    struct table_row *first, *last;
    uint32_t filled; /* cells of the last row */
    bool failed;     /* out of memory; printing says so */
};

void table_init(struct table *table, const char *const *columns);
void table_done(struct table *table);
/** The next cell; begins a row when the last one is full. */
void table_cell(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** Plain is like table without a heading. */
void table_print(const struct table *table, enum output_format format, FILE *file);

/** One CSV field, quoted where needed. */
void csv_print(FILE *file, struct bytes text);
/** `text` as a JSON string in quotes; bytes that are no UTF-8 become U+FFFD. */
void json_print_text(FILE *file, struct bytes text);
/** The same as a value; NULL out of memory. */
json_t *json_text(struct bytes text);
/** Set `name` to `bytes` as text, or `name`_base64 when they are no UTF-8. */
void json_set_bytes(json_t *object, const char *name, struct bytes bytes);
void json_set_base64(json_t *object, const char *name, struct bytes bytes);
/** Indented, with a newline; frees `json`.  Returns an exit code. */
int json_print(json_t *json, FILE *file);

/** "63,666" into one of eight rotating buffers, so that a few can stand in one printf. */
const char *text_of_count(uint64_t number);
/** "1.5 GB" and the like, rotating as well. */
const char *text_of_size(uint64_t bytes);
/** "3.2 s", "450 ms", "2 h 05 min", rotating as well. */
const char *text_of_time(double seconds);
/** A bar of `width` columns filled to `part` (0..1), in eighths. */
const char *text_of_bar(double part, unsigned width);

#endif
