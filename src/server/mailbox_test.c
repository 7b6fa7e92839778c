/* SPDX-License-Identifier: Apache-2.0 */
#include "server/mailbox.h"

#include "tests/support/rows.h"

enum { SENDERS = 4, LETTERS = 20000 };

static void count_wake(void *context)
{
    atomic_fetch_add((atomic_uint *)context, 1);
}

static void check_letters(void **state)
{
    (void)state;
    atomic_uint wakes = 0;
    struct mailbox mailbox;
    mailbox_init(&mailbox, 1000, count_wake, &wakes);
    struct buffer outbox, letters;
    buffer_init(&outbox, 1 << 20);
    buffer_init(&letters, 1 << 20);
    const struct message message = {
        .kind = MESSAGE_MERGE,
        .request_id = 7,
        .epoch = 1,
        .body = BYTES_LITERAL("body"),
        .tail = BYTES_LITERAL("a tail of no round size"),
    };
    mail_append(&outbox, &(struct mail){ .kind = MAIL_LIVENESS, .member = 3, .value = 2 });
    mail_append_message(&outbox, 5, &message);
    mailbox_put(&mailbox, buffer_bytes(&outbox));
    mailbox_put(&mailbox, buffer_bytes(&outbox));
    assert_int_equal(atomic_load(&wakes), 1); /* the second found the owner awake */

    mailbox_take(&mailbox, &letters);
    struct bytes rest = buffer_bytes(&letters);
    for (int i = 0; i < 2; i++) {
        const struct mail *first = mail_next(&rest), *second = mail_next(&rest);
        assert_int_equal(first->kind, MAIL_LIVENESS);
        assert_int_equal(first->member, 3);
        struct message read = mail_message(second);
        assert_int_equal(second->shard, 5);
        assert_true(read.kind == message.kind && read.request_id == 7 && read.epoch == 1);
        assert_true(bytes_equal(read.body, message.body) && bytes_equal(read.tail, message.tail));
    }
    assert_null(mail_next(&rest));
    mailbox_close(&mailbox);
    mailbox_put(&mailbox, buffer_bytes(&outbox));
    assert_int_equal(atomic_load(&wakes), 1); /* nobody is there to wake */
    buffer_done(&outbox);
    buffer_done(&letters);
    mailbox_done(&mailbox);
}

static void check_room(void **state)
{
    (void)state;
    atomic_uint wakes = 0;
    struct mailbox mailbox;
    mailbox_init(&mailbox, 100, count_wake, &wakes);
    assert_true(mailbox_has_room(&mailbox, 0, 5000)); /* one of any size passes an empty one */
    assert_true(mailbox_has_room(&mailbox, 50, 50));
    assert_false(mailbox_has_room(&mailbox, 50, 51));
    mailbox_done(&mailbox);
}

/* Many send at once: nothing is lost, and each sender's letters keep their order. */
static void *send_many(void *context)
{
    struct mailbox *mailbox = context;
    static atomic_uint next_sender;
    uint16_t sender = (uint16_t)atomic_fetch_add(&next_sender, 1);
    struct buffer outbox;
    buffer_init(&outbox, 1 << 20);
    for (uint32_t i = 0; i < LETTERS; i++) {
        mail_append(&outbox, &(struct mail){ .shard = sender, .value = i });
        if (i % 7 == 0 || i == LETTERS - 1) {
            mailbox_put(mailbox, buffer_bytes(&outbox));
            buffer_reset(&outbox);
        }
    }
    buffer_done(&outbox);
    return NULL;
}

static void check_order(void **state)
{
    (void)state;
    atomic_uint wakes = 0;
    struct mailbox mailbox;
    mailbox_init(&mailbox, 1 << 20, count_wake, &wakes);
    pthread_t threads[SENDERS];
    for (int i = 0; i < SENDERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, send_many, &mailbox), 0);
    uint32_t expected[SENDERS] = { 0 }, received = 0;
    struct buffer letters;
    buffer_init(&letters, SIZE_MAX / 2);
    while (received < SENDERS * LETTERS) {
        mailbox_take(&mailbox, &letters);
        struct bytes rest = buffer_bytes(&letters);
        const struct mail *mail;
        while ((mail = mail_next(&rest)) != NULL) {
            assert_int_equal(mail->value, expected[mail->shard]++);
            received++;
        }
        buffer_reset(&letters);
    }
    for (int i = 0; i < SENDERS; i++)
        pthread_join(threads[i], NULL);
    assert_true(atomic_load(&wakes) > 0);
    buffer_done(&letters);
    mailbox_done(&mailbox);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(check_letters),
        cmocka_unit_test(check_room),
        cmocka_unit_test(check_order),
    };
    return cmocka_run_group_tests_name("mailbox", tests, NULL, NULL);
}
