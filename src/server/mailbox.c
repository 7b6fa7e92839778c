/* SPDX-License-Identifier: Apache-2.0 */
#include "server/mailbox.h"

#include <assert.h>

static_assert(sizeof(struct mail) % 8 == 0, "letters follow each other 8-aligned");

void mailbox_init(struct mailbox *mailbox, size_t limit, void (*wake)(void *context), void *context)
{
    *mailbox = (struct mailbox){ .limit = limit, .wake = wake, .context = context };
    pthread_mutex_init(&mailbox->mutex, NULL);
    buffer_init(&mailbox->letters, SIZE_MAX / 2);
}

void mailbox_done(struct mailbox *mailbox)
{
    buffer_done(&mailbox->letters);
    pthread_mutex_destroy(&mailbox->mutex);
}

bool mailbox_has_room(struct mailbox *mailbox, size_t waiting, size_t size)
{
    size_t held = atomic_load_explicit(&mailbox->size, memory_order_relaxed) + waiting;
    return held == 0 || held + size <= mailbox->limit;
}

void mailbox_put(struct mailbox *mailbox, struct bytes letters)
{
    pthread_mutex_lock(&mailbox->mutex);
    bool was_empty = mailbox->letters.size == 0;
    buffer_append_bytes(&mailbox->letters, letters);
    assert(!mailbox->letters.failed); /* control mail must not be lost: without memory we stop */
    atomic_store_explicit(&mailbox->size, mailbox->letters.size, memory_order_relaxed);
    /* libuv skips a wake-up while it sees an earlier one pending: it must not look before our
     * letters can be seen.  The mutex keeps the owner from going away under us. */
    atomic_thread_fence(memory_order_seq_cst);
    if (was_empty && !mailbox->closed)
        mailbox->wake(mailbox->context);
    pthread_mutex_unlock(&mailbox->mutex);
}

void mailbox_close(struct mailbox *mailbox)
{
    pthread_mutex_lock(&mailbox->mutex);
    mailbox->closed = true;
    pthread_mutex_unlock(&mailbox->mutex);
}

void mailbox_take(struct mailbox *mailbox, struct buffer *ret_letters)
{
    assert(ret_letters->size == 0);
    if (atomic_load_explicit(&mailbox->size, memory_order_relaxed) == 0)
        return; /* whoever puts now wakes us again */
    pthread_mutex_lock(&mailbox->mutex);
    struct buffer taken = mailbox->letters;
    mailbox->letters = *ret_letters;
    atomic_store_explicit(&mailbox->size, 0, memory_order_relaxed);
    pthread_mutex_unlock(&mailbox->mutex);
    *ret_letters = taken;
}

/* --- letters ------------------------------------------------------------------------------- */

static size_t padded(size_t size)
{
    return (size + 7) & ~(size_t)7;
}

size_t mail_message_size(const struct message *message)
{
    return padded(sizeof(struct mail) + message->body.size + message->tail.size);
}

void mail_append(struct buffer *outbox, const struct mail *mail)
{
    struct mail copy = *mail;
    copy.size = sizeof(copy);
    buffer_append(outbox, &copy, sizeof(copy));
}

void mail_append_message(struct buffer *outbox, uint16_t from_shard, const struct message *message)
{
    struct mail mail = {
        .size = (uint32_t)mail_message_size(message),
        .kind = MAIL_MESSAGE,
        .message_kind = message->kind,
        .shard = from_shard,
        .body_size = (uint32_t)message->body.size,
        .tail_size = (uint32_t)message->tail.size,
        .request_id = message->request_id,
        .epoch = message->epoch,
    };
    uint8_t *at = buffer_reserve(outbox, mail.size);
    if (at == NULL)
        return;
    memcpy(at, &mail, sizeof(mail));
    if (message->body.size > 0)
        memcpy(at + sizeof(mail), message->body.data, message->body.size);
    if (message->tail.size > 0)
        memcpy(at + sizeof(mail) + message->body.size, message->tail.data, message->tail.size);
    size_t used = sizeof(mail) + message->body.size + message->tail.size;
    memset(at + used, 0, mail.size - used);
    outbox->size += mail.size;
}

const struct mail *mail_next(struct bytes *letters)
{
    if (letters->size == 0)
        return NULL;
    const struct mail *mail = (const struct mail *)(const void *)letters->data;
    assert(mail->size >= sizeof(*mail) && mail->size <= letters->size);
    *letters = bytes_from(*letters, mail->size);
    return mail;
}

struct message mail_message(const struct mail *mail)
{
    const uint8_t *body = (const uint8_t *)(mail + 1);
    return (struct message){
        .kind = mail->message_kind,
        .request_id = mail->request_id,
        .epoch = mail->epoch,
        .body = bytes_make(body, mail->body_size),
        .tail = bytes_make(body + mail->body_size, mail->tail_size),
    };
}
