/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/status_text.h"

#include "support/rows.h"

struct row {
    const char *name;
    const char *nodes;    /* a letter each: a alive, s suspect, d dead, u unknown */
    const char *document; /* further members */
    bool healthy;
    const char *sentence;
};

#define STAYS "may fail and every key stays readable and writable at quorum"

static const struct row rows[] = {
    { "five nodes, one may fail", "aaaaa",
      "\"partitions\":1024,\"unavailable_partitions\":0,\"survives_more\":1", true,
      "all 5 nodes are alive; any 1 of them " STAYS },
    { "a zone may fail", "aaaaaa",
      "\"partitions\":64,\"survives_more\":2,\"survives\":{\"nodes\":2,\"zones\":1}", true,
      "all 6 nodes are alive; any 2 of them " STAYS ", and so it does without any 1 zone" },
    { "one is dead and all is served", "aadaa",
      "\"partitions\":1024,\"unavailable_partitions\":0,\"survives_more\":0", false,
      "4 of 5 nodes are alive (n3 is dead for 12 s); every key is readable and writable at quorum, "
      "but one more failure may change that" },
    { "one is dead and one more may fail", "adaaaaa", "\"partitions\":64,\"survives_more\":1",
      false, "6 of 7 nodes are alive (n2 is dead for 12 s); any 1 more " STAYS },
    { "quorums are lost", "ddaau",
      "\"partitions\":1000,\"unavailable_partitions\":250,\"survives_more\":0", false,
      "2 of 5 nodes are alive (n1 is dead for 12 s, n2 is dead for 12 s, n5 was not heard of yet); "
      "250 "
      "of 1,000 partitions have no quorum: their keys (25 % of all) cannot be read and written at "
      "quorum until a node is back" },
    { "a lone node", "a", "\"partitions\":64,\"survives_more\":0", true,
      "the only node is alive; without it nothing can be read or written" },
    { "a suspect is not alive", "as", "\"partitions\":64,\"survives_more\":0", false,
      "1 of 2 nodes is alive (n2 is suspect for 12 s); every key is readable and writable at "
      "quorum, "
      "but one more failure may change that" },
    { "many missing ones are counted", "addddddd",
      "\"partitions\":64,\"unavailable_partitions\":64,\"survives_more\":0", false,
      "1 of 8 nodes is alive (n2 is dead for 12 s, n3 is dead for 12 s, n4 is dead for 12 s, n5 is "
      "dead for 12 s and 3 more); 64 of 64 partitions have no quorum: their keys (100 % of all) "
      "cannot be read and written at quorum until a node is back" },
};

static json_t *make_status(const struct row *row)
{
    struct buffer text;
    buffer_init(&text, 65536);
    buffer_printf(&text, "{%s,\"nodes\":[", row->document);
    for (size_t i = 0; row->nodes[i] != '\0'; i++) {
        char c = row->nodes[i];
        const char *state = c == 'a'   ? "alive"
                            : c == 's' ? "suspect"
                            : c == 'd' ? "dead"
                                       : "unknown";
        buffer_printf(&text,
                      "%s{\"name\":\"n%zu\",\"state\":\"%s\",\"since_s\":12,\"partitions\":100,"
                      "\"zone\":\"default\",\"address\":\"127.0.0.1:9098\",\"self\":%s}",
                      i == 0 ? "" : ",", i + 1, state, i == 0 ? "true" : "false");
    }
    buffer_append_text(&text, "]}");
    json_error_t error;
    json_t *status = json_loadb((const char *)text.data, text.size, 0, &error);
    buffer_done(&text);
    return status;
}

static void check(const void *context)
{
    const struct row *row = context;
    struct buffer text;
    json_t *status = make_status(row);
    assert_non_null(status);
    assert_null(status_problem(status));
    assert_int_equal(status_healthy(status), row->healthy);
    buffer_init(&text, 65536);
    status_sentence(status, &text);
    buffer_append_u8(&text, 0);
    assert_string_equal((char *)text.data, row->sentence);
    buffer_reset(&text);
    status_screen(status, true, &text);
    assert_false(text.failed);
    assert_int_equal(text.data[text.size - 1], '\n');
    buffer_done(&text);
    json_decref(status);
}

static void malformed_documents_are_named(void)
{
    static const char *const documents[] = {
        "[]",
        "{}",
        "{\"nodes\":[]}",
        "{\"nodes\":[{}]}",
        "{\"nodes\":[{\"name\":1}]}",
        "{\"nodes\":[{\"name\":\"n1\",\"state\":\"alive\"}]}",
    };
    for (size_t i = 0; i < sizeof(documents) / sizeof(documents[0]); i++) {
        json_error_t error;
        json_t *status = json_loads(documents[i], 0, &error);
        assert_non_null(status_problem(status));
        json_decref(status);
    }
    assert_non_null(status_problem(NULL));
}

static const struct named_test tests[] = {
    { "malformed documents are named", malformed_documents_are_named },
};

int main(void)
{
    return RUN_ROWS("status", rows, check) + RUN_TESTS("status documents", tests);
}
