/* SPDX-License-Identifier: Apache-2.0 */
#include "server/signature.h"

#include "tests/support/rows.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

/* --- test cases of RFC 4231; the fifth is cut to 16 bytes there, as all are here -------------- */

struct row {
    const char *name;
    const char *key;
    size_t key_size;
    const char *message;
    const uint8_t mac[SIGNATURE_SIZE];
};

static const struct row rows[] = {
    { "RFC 4231, case 2: a short key",
      "Jefe",
      4,
      "what do ya want for nothing?",
      { 0x5b, 0xdc, 0xc1, 0x46, 0xbf, 0x60, 0x75, 0x4e, 0x6a, 0x04, 0x24, 0x26, 0x08, 0x95, 0x75,
        0xc7 } },
    { "RFC 4231, case 1: a key of 20 bytes",
      "\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b",
      20,
      "Hi There",
      { 0xb0, 0x34, 0x4c, 0x61, 0xd8, 0xdb, 0x38, 0x53, 0x5c, 0xa8, 0xaf, 0xce, 0xaf, 0x0b, 0xf1,
        0x2b } },
    { "RFC 4231, case 5: cut to 128 bits",
      "\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c\x0c",
      20,
      "Test With Truncation",
      { 0xa3, 0xb6, 0x16, 0x74, 0x73, 0x10, 0x0e, 0xe0, 0x6e, 0x0c, 0x79, 0x6c, 0x29, 0x55, 0x55,
        0x2b } },
};

static void check(const void *context)
{
    const struct row *row = context;
    struct bytes message = bytes_of_string(row->message);
    struct signature *signature = signature_create(bytes_make(row->key, row->key_size));
    uint8_t mac[SIGNATURE_SIZE];
    assert_non_null(signature);
    for (int i = 0; i < 2; i++) { /* each message begins anew */
        assert_true(signature_make(signature, message, mac));
        assert_memory_equal(mac, row->mac, sizeof(mac));
    }
    assert_true(signature_matches(signature, message, mac));
    mac[SIGNATURE_SIZE - 1] ^= 1;
    assert_false(signature_matches(signature, message, mac));
    mac[SIGNATURE_SIZE - 1] ^= 1;
    message.size--;
    assert_false(signature_matches(signature, message, mac));
    signature_destroy(signature);
}

/* --- key files -------------------------------------------------------------------------------- */

struct file_row {
    const char *name;
    size_t size;
    mode_t mode;
    kvorum_status status;
};

static const struct file_row file_rows[] = {
    { "a key of 16 bytes", 16, 0600, KVORUM_OK },
    { "one that not even its owner writes", 32, 0400, KVORUM_OK },
    { "the largest", SIGNATURE_KEY_MAX, 0600, KVORUM_OK },
    { "a key that is too short", 15, 0600, KVORUM_INVALID },
    { "a key that is too long", SIGNATURE_KEY_MAX + 1, 0600, KVORUM_INVALID },
    { "a key that the group may read", 32, 0640, KVORUM_NOT_ALLOWED },
    { "a key that all may read", 32, 0604, KVORUM_NOT_ALLOWED },
};

static void check_file(const void *context)
{
    const struct file_row *row = context;
    static const uint8_t content[SIGNATURE_KEY_MAX + 1] = "0123456789abcdef";
    char path[] = "/tmp/kvorum-key-XXXXXX";
    struct signature_key key;
    const char *why = "";
    int descriptor = mkstemp(path);
    assert_true(descriptor >= 0);
    assert_int_equal(write(descriptor, content, row->size), row->size);
    assert_int_equal(fchmod(descriptor, row->mode), 0);
    close(descriptor);
    assert_int_equal(signature_key_load(path, &key, &why), row->status);
    if (row->status == KVORUM_OK) {
        assert_int_equal(key.size, row->size);
        assert_memory_equal(key.bytes, content, row->size);
    }
    unlink(path);
}

static void test_no_file(void)
{
    struct signature_key key;
    const char *why = "";
    assert_int_equal(signature_key_load("/nowhere/key", &key, &why), KVORUM_INVALID);
    assert_string_equal(why, "there is no such file");
    assert_int_equal(signature_key_load("/tmp", &key, &why), KVORUM_INVALID);
    assert_string_equal(why, "it is no regular file");
}

static const struct named_test tests[] = {
    { "what is no file is no key", test_no_file },
};

int main(void)
{
    return RUN_ROWS("signature", rows, check) + RUN_ROWS("key file", file_rows, check_file) +
           RUN_TESTS("no key file", tests);
}
