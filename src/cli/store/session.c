/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/store/session.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/message.h"
#include "cli/store/record.h"

static void remember(void *context, enum kvorum_log_level level, const char *line)
{
    struct store_session *session = context;
    if (level >= KVORUM_LOG_WARN)
        snprintf(session->said, sizeof(session->said), "%s", line);
}

void store_begin(struct store_session *session, const struct invocation *invocation)
{
    *session = (struct store_session){ .invocation = invocation, .path = invocation->arguments[0] };
}

kvorum_options store_options(struct store_session *session)
{
    return (kvorum_options){ .must_exist = true, .log = { remember, session } };
}

static int open_as(struct store_session *session, const struct invocation *invocation,
                   bool read_only)
{
    store_begin(session, invocation);
    kvorum_options options = store_options(session);
    options.read_only = read_only;
    kvorum_status status = kvorum_open(session->path, &options, &session->store);
    return status == KVORUM_OK ? EXIT_DONE : store_fail(session, "open the store", status);
}

int store_open(struct store_session *session, const struct invocation *invocation)
{
    return open_as(session, invocation, false);
}

int store_open_to_read(struct store_session *session, const struct invocation *invocation)
{
    return open_as(session, invocation, true);
}

void store_close(struct store_session *session)
{
    session->store = kvorum_close(session->store);
}

/* --- failures ------------------------------------------------------------------------------ */

static int exit_code_of(kvorum_status status)
{
    switch (status) {
    case KVORUM_NOT_FOUND:
        return EXIT_NO;
    case KVORUM_INVALID:
    case KVORUM_TOO_LARGE:
        return EXIT_USAGE;
    case KVORUM_NOT_ALLOWED:
        return EXIT_NOT_ALLOWED;
    case KVORUM_EXISTS:
    case KVORUM_LOCKED:
        return EXIT_CONFLICT;
    case KVORUM_FOREIGN:
    case KVORUM_NEWER_FORMAT:
        return EXIT_UNSAFE;
    default:
        return EXIT_INTERNAL;
    }
}

static bool is_file(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && !S_ISDIR(about.st_mode);
}

/* What the status means of a store's files. */
static const char *reason_of(kvorum_status status, const char *path)
{
    switch (status) {
    case KVORUM_NOT_FOUND:
        return "there is no store";
    case KVORUM_EXISTS:
        return "there is one already";
    case KVORUM_INVALID:
        return is_file(path) ? "it is a file, and a store is a folder"
                             : "the path cannot be that of a store, or the store has a merge "
                               "operator, which only its application knows";
    case KVORUM_FOREIGN:
        return "the folder holds files that are no store's; nothing was changed";
    case KVORUM_LOCKED:
        return "it is open in another process";
    case KVORUM_NEWER_FORMAT:
        return "it was written by a newer release, and this one would spoil it";
    case KVORUM_UNSUPPORTED:
        return "the store's engine cannot do that in this release";
    default:
        return kvorum_status_text(status);
    }
}

static void print_next(const struct store_session *session, kvorum_status status)
{
    const char *path = session->path;
    switch (status) {
    case KVORUM_NOT_FOUND:
        say_note("  Next: kvorum store create %s", path);
        break;
    case KVORUM_EXISTS:
        say_note("  Next: kvorum store inspect %s, or choose another path", path);
        break;
    case KVORUM_INVALID:
    case KVORUM_FOREIGN:
        say_note("  Next: check the path; a new store wants a folder that is new or empty");
        break;
    case KVORUM_LOCKED:
        say_note("  Next: fuser -v %s/LOCK says which; stop it, or try again later", path);
        break;
    case KVORUM_NEWER_FORMAT:
        say_note("  Next: use that release; this is kvorum %s", kvorum_version());
        break;
    case KVORUM_CORRUPT:
        if (session->store != NULL)
            say_note("  Next: kvorum store verify %s says where", path);
        say_note("  Next: kvorum store salvage %s NEW-PATH copies all that is intact", path);
        break;
    case KVORUM_NOT_ALLOWED:
        say_note("  Next: ls -ld %s, and run this as the owner of the files", path);
        break;
    case KVORUM_NO_SPACE:
        say_note("  Next: df %s, and make room; the store is as it was", path);
        break;
    case KVORUM_IO:
    case KVORUM_POISONED:
        say_note("  Next: look at the disk (dmesg); what was acknowledged before is still there");
        break;
    default:
        break;
    }
}

int store_fail(const struct store_session *session, const char *what, kvorum_status status)
{
    say_error("cannot %s %s: %s", what, session->path, reason_of(status, session->path));
    if (session->said[0] != '\0')
        say_note("  %s", session->said);
    print_next(session, status);
    return exit_code_of(status);
}

/* --- arguments ----------------------------------------------------------------------------- */

static bool append_text(const struct invocation *invocation, const char *text, struct buffer *out)
{
    if (option_flag(invocation, "escaped"))
        return record_unescape(text, out);
    buffer_append_text(out, text);
    return !out->failed;
}

bool store_argument(const struct invocation *invocation, int index, struct buffer *out)
{
    return append_text(invocation, invocation->arguments[index], out);
}

bool store_option(const struct invocation *invocation, const char *name, struct buffer *out)
{
    const char *text = option_text(invocation, name);
    return text == NULL || append_text(invocation, text, out);
}
