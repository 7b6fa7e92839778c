/* SPDX-License-Identifier: Apache-2.0 */
/* list: the buckets, or the keys of one, as they come. */
#include "cli/commands.h"
#include "cli/message.h"
#include "cli/names.h"
#include "cli/output.h"

struct printing {
    enum output_format format;
    uint64_t count, limit;
};

static bool print_name(void *context, struct bytes name)
{
    struct printing *printing = context;
    switch (printing->format) {
    case OUTPUT_JSON:
        fputs(printing->count == 0 ? "[\n  " : ",\n  ", stdout);
        json_print_text(stdout, name);
        break;
    case OUTPUT_CSV:
        csv_print(stdout, name);
        putchar('\n');
        break;
    case OUTPUT_TABLE:
        print_safely(stdout, name);
        putchar('\n');
        break;
    case OUTPUT_PLAIN:
        fwrite(name.data, 1, name.size, stdout);
        putchar('\n');
    }
    printing->count++;
    return printing->count < printing->limit;
}

int command_list(const struct invocation *invocation)
{
    struct session session;
    if (!session_begin(&session, invocation))
        return EXIT_USAGE;
    struct bytes bucket = { 0 };
    if (invocation->argument_count > 0)
        bucket = bytes_of_string(invocation->arguments[0]);
    struct printing printing = {
        output_format_parse(option_text(invocation, "output")),
        0,
        (uint64_t)option_number(invocation, "limit", INT64_MAX),
    };
    if (printing.format == OUTPUT_CSV)
        puts(bucket.data == NULL ? "bucket" : "key");
    int code = names_visit(&session, bucket, print_name, &printing);
    if (printing.format == OUTPUT_JSON)
        fputs(printing.count == 0 ? "[]\n" : "\n]\n", stdout);
    session_end(&session);
    return code;
}
