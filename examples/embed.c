/* SPDX-License-Identifier: Apache-2.0 */
/* Keeps a few animals and asks for them again.
 *
 *     cc embed.c $(pkg-config --cflags --libs kvorum) -o embed && ./embed pets
 */
#include <kvorum/kvorum.h>
#include <stdio.h>
#include <stdlib.h>

static void check(kvorum_status status, const char *what)
{
    if (status == KVORUM_OK)
        return;
    fprintf(stderr, "cannot %s: %s\n", what, kvorum_status_text(status));
    exit(1);
}

/* All or none of them, on disk when it returns. */
static void write_pets(kvorum_store *store)
{
    kvorum_batch *batch = kvorum_batch_create();
    check(kvorum_batch_put(batch, kvorum_text("pet:cat"), kvorum_text("meow")), "add the cat");
    check(kvorum_batch_put(batch, kvorum_text("pet:dog"), kvorum_text("woof")), "add the dog");
    check(kvorum_batch_delete(batch, kvorum_text("pet:fish")), "remove the fish");
    check(kvorum_write(store, batch, KVORUM_DURABILITY_SYNC), "write");
    kvorum_batch_destroy(batch);
}

static void print_pets(kvorum_store *store)
{
    const kvorum_scan pets = { .prefix = kvorum_text("pet:") };
    kvorum_iterator *it;
    check(kvorum_iterate(store, &pets, &it), "iterate");
    for (bool more = kvorum_iterator_first(it); more; more = kvorum_iterator_next(it)) {
        kvorum_bytes key = kvorum_iterator_key(it), value = kvorum_iterator_value(it);
        printf("%.*s says %.*s\n", (int)key.size, (const char *)key.data, (int)value.size,
               (const char *)value.data);
    }
    check(kvorum_iterator_status(it), "read on");
    kvorum_iterator_close(it);
}

int main(int argc, char **argv)
{
    kvorum_store *store;
    kvorum_view view;
    check(kvorum_open(argc > 1 ? argv[1] : "pets", NULL, &store), "open the store");
    write_pets(store);
    print_pets(store);
    check(kvorum_get_view(store, kvorum_text("pet:cat"), NULL, &view), "get the cat");
    printf("the cat's value has %zu bytes\n", view.value.size);
    kvorum_view_release(&view);
    kvorum_close(store);
}
