/* SPDX-License-Identifier: Apache-2.0 */
#include "server/signature.h"

#include <errno.h>
#include <fcntl.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SHA256_SIZE = 32, OTHERS = S_IRWXG | S_IRWXO };

struct signature {
    EVP_MAC *algorithm;
    EVP_MAC_CTX *context; /* holds the key */
};

/* --- the key file ----------------------------------------------------------------------------- */

static kvorum_status check_file(int descriptor, const char **ret_why)
{
    struct stat status;
    *ret_why = "it cannot be looked at";
    if (fstat(descriptor, &status) != 0)
        return KVORUM_IO;
    *ret_why = "it is no regular file";
    if (!S_ISREG(status.st_mode))
        return KVORUM_INVALID;
    *ret_why = "others than its owner may read or write it: chmod 600";
    if ((status.st_mode & OTHERS) != 0)
        return KVORUM_NOT_ALLOWED;
    *ret_why = "it must have 16 to 4,096 bytes";
    return status.st_size >= SIGNATURE_KEY_MIN && status.st_size <= SIGNATURE_KEY_MAX
               ? KVORUM_OK
               : KVORUM_INVALID;
}

static kvorum_status read_key(int descriptor, struct signature_key *ret_key, const char **ret_why)
{
    ret_key->size = 0;
    for (;;) {
        size_t room = SIGNATURE_KEY_MAX - ret_key->size;
        ssize_t count = room == 0 ? 0 : read(descriptor, ret_key->bytes + ret_key->size, room);
        if (count < 0 && errno == EINTR)
            continue;
        *ret_why = "it cannot be read";
        if (count < 0)
            return KVORUM_IO;
        if (count == 0)
            break;
        ret_key->size += (size_t)count;
    }
    *ret_why = "it changed while it was read";
    return ret_key->size >= SIGNATURE_KEY_MIN ? KVORUM_OK : KVORUM_INVALID;
}

kvorum_status signature_key_load(const char *path, struct signature_key *ret_key,
                                 const char **ret_why)
{
    struct signature_key key;
    int descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (descriptor < 0) {
        *ret_why = errno == ENOENT ? "there is no such file" : "it cannot be opened";
        return KVORUM_INVALID;
    }
    kvorum_status status = check_file(descriptor, ret_why);
    if (status == KVORUM_OK)
        status = read_key(descriptor, &key, ret_why);
    close(descriptor);
    if (status == KVORUM_OK)
        *ret_key = key;
    OPENSSL_cleanse(&key, sizeof(key));
    return status;
}

/* --- signing ---------------------------------------------------------------------------------- */

struct signature *signature_create(struct bytes key)
{
    static char digest[] = "SHA256";
    struct signature *signature = calloc(1, sizeof(*signature));
    if (signature == NULL)
        return NULL;
    const OSSL_PARAM parameters[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
        OSSL_PARAM_construct_end(),
    };
    signature->algorithm = EVP_MAC_fetch(NULL, "HMAC", NULL);
    if (signature->algorithm != NULL)
        signature->context = EVP_MAC_CTX_new(signature->algorithm);
    if (signature->context != NULL &&
        EVP_MAC_init(signature->context, key.data, key.size, parameters) == 1)
        return signature;
    return signature_destroy(signature);
}

struct signature *signature_destroy(struct signature *signature)
{
    if (signature == NULL)
        return NULL;
    EVP_MAC_CTX_free(signature->context);
    EVP_MAC_free(signature->algorithm);
    free(signature);
    return NULL;
}

bool signature_make(struct signature *signature, struct bytes message,
                    uint8_t ret_mac[SIGNATURE_SIZE])
{
    uint8_t mac[SHA256_SIZE];
    size_t size = 0;
    /* Without a key: begin anew with the one that is there. */
    if (EVP_MAC_init(signature->context, NULL, 0, NULL) != 1 ||
        EVP_MAC_update(signature->context, message.data, message.size) != 1 ||
        EVP_MAC_final(signature->context, mac, &size, sizeof(mac)) != 1 || size != sizeof(mac))
        return false;
    memcpy(ret_mac, mac, SIGNATURE_SIZE);
    return true;
}

bool signature_matches(struct signature *signature, struct bytes message,
                       const uint8_t mac[SIGNATURE_SIZE])
{
    uint8_t right[SIGNATURE_SIZE];
    return signature_make(signature, message, right) &&
           CRYPTO_memcmp(right, mac, SIGNATURE_SIZE) == 0;
}
