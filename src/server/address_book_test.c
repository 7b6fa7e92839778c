/* SPDX-License-Identifier: Apache-2.0 */
#include "server/address_book.h"

#include "tests/support/rows.h"

#include <stdio.h>

enum { MEMBERS = 2 };

struct fixture {
    struct member members[MEMBERS];
    struct epoch epoch;
    struct address_book book;
};

static void begin(struct fixture *f)
{
    *f = (struct fixture){ .epoch = { .number = 1, .member_count = MEMBERS } };
    for (uint8_t i = 0; i < MEMBERS; i++) {
        f->members[i].id.bytes[0] = (uint8_t)(i + 1);
        snprintf(f->members[i].address, sizeof(f->members[i].address), "old:%u", 1u + i);
    }
    f->epoch.members = f->members;
    address_book_init(&f->book);
}

static const char *dialed(struct fixture *f, uint16_t slot)
{
    static struct member member;
    address_book_member(&f->book, &f->epoch, slot, &member);
    return member.address;
}

static void it_is_dialed_where_it_says_until_an_epoch_has_it(void)
{
    struct fixture f;
    begin(&f);
    assert_true(address_book_learn(&f.book, &f.epoch, 1, "new:7"));
    assert_false(address_book_learn(&f.book, &f.epoch, 1, "new:7"));
    assert_string_equal(dialed(&f, 1), "new:7");
    assert_string_equal(dialed(&f, 0), "old:1");
    snprintf(f.members[1].address, sizeof(f.members[1].address), "other:9");
    assert_string_equal(dialed(&f, 1), "other:9");
    address_book_done(&f.book);
}

static void it_may_move_again_and_come_back(void)
{
    struct fixture f;
    begin(&f);
    assert_true(address_book_learn(&f.book, &f.epoch, 1, "new:7"));
    assert_true(address_book_learn(&f.book, &f.epoch, 1, "newer:8"));
    assert_string_equal(dialed(&f, 1), "newer:8");
    assert_true(address_book_learn(&f.book, &f.epoch, 1, "old:2"));
    assert_false(address_book_learn(&f.book, &f.epoch, 1, "old:2"));
    assert_string_equal(dialed(&f, 1), "old:2");
    address_book_done(&f.book);
}

static void who_has_the_slot_now_said_nothing(void)
{
    struct fixture f;
    begin(&f);
    assert_true(address_book_learn(&f.book, &f.epoch, 1, "new:7"));
    f.members[1].id.bytes[0] = 99;
    assert_string_equal(dialed(&f, 1), "old:2");
    address_book_done(&f.book);
}

static void what_is_no_address_is_no_news(void)
{
    static const char *const bad[] = { "", "host", "host:", "host:0", "host:70000", ":" };
    struct fixture f;
    char longest[400];
    begin(&f);
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
        assert_false(address_book_learn(&f.book, &f.epoch, 1, bad[i]));
    memset(longest, 'h', sizeof(longest));
    memcpy(longest + sizeof(longest) - 4, ":80", 4);
    assert_false(address_book_learn(&f.book, &f.epoch, 1, longest));
    assert_string_equal(dialed(&f, 1), "old:2");
    address_book_done(&f.book);
}

int main(void)
{
    static const struct named_test tests[] = {
        { "it is dialed where it says, until an epoch has it",
          it_is_dialed_where_it_says_until_an_epoch_has_it },
        { "it may move again, and come back", it_may_move_again_and_come_back },
        { "who has the slot now said nothing", who_has_the_slot_now_said_nothing },
        { "what is no address is no news", what_is_no_address_is_no_news },
    };
    return RUN_TESTS("address book", tests);
}
