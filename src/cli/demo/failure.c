/* SPDX-License-Identifier: Apache-2.0 */
/* Steps 4 to 9 of `demo run`: what the product is for. */
#include <stdio.h>

#include "cli/demo/stats.h"
#include "cli/demo/story.h"
#include "cli/interrupt.h"
#include "cli/message.h"
#include "cli/output.h"
#include "cli/status_text.h"

/* Wait until some living node calls the victim dead; its words go to *ret_sentence. */
static bool wait_for_notice(struct story *run, struct buffer *ret_sentence)
{
    unsigned witness = run->victim == 1 ? 2 : 1;
    uint64_t deadline_ms = demo_now_ms() + demo_patience(20000);
    bool noticed = false;
    while (!noticed && demo_now_ms() < deadline_ms && !interrupt_wanted()) {
        json_t *status = demo_fetch_status(&run->cluster, witness, 2000);
        noticed = status != NULL && demo_calls(status, run->victim, "dead");
        if (noticed)
            status_sentence(status, ret_sentence);
        json_decref(status);
        if (!noticed)
            interrupt_sleep_ms(40);
    }
    return noticed;
}

static int kill_node(struct story *run)
{
    struct buffer sentence;
    story_begin(run);
    run->keys_before = stats_keys(&run->cluster, run->victim);
    int code = demo_kill(&run->cluster, run->victim);
    if (code != EXIT_DONE)
        return code;
    buffer_init(&sentence, 4096);
    if (wait_for_notice(run, &sentence))
        story_tell(run, "failure", "n%u is killed (SIGKILL); noticed after %s: %.*s", run->victim,
                   text_of_time(story_seconds(run)), (int)sentence.size,
                   (const char *)sentence.data);
    else
        code = fail(EXIT_TIMEOUT, "the others did not notice within 20 s that n%u is gone",
                    run->victim);
    buffer_done(&sentence);
    return code;
}

static int read_back(struct story *run)
{
    struct transfer transfer;
    const struct story_work work = {
        &run->packages, "packages", "read back", TRANSFER_COMPARE, "", 0, 1
    };
    story_begin(run);
    int code = story_move(run, &work, &transfer);
    if (code == EXIT_DONE)
        story_tell(run, "read back",
                   "%s of %s records read through the other nodes, every byte as in the "
                   "source, in %s (%s/s)",
                   text_of_count(transfer.records), text_of_count(run->packages.records),
                   text_of_time(transfer.seconds), story_rate(&transfer));
    return code;
}

/* Strict quorums: no stand-in keeps these for the dead node, so only reads can repair it. */
static int write_on(struct story *run)
{
    struct transfer transfer;
    story_begin(run);
    int code = dataset_installed(&run->cluster, &run->packages, &run->installed);
    if (code != EXIT_DONE)
        return code;
    const struct story_work work = { &run->installed,       "installed", "write on", TRANSFER_WRITE,
                                     "sloppy_quorum=false", 0,           1 };
    code = story_move(run, &work, &transfer);
    if (code == EXIT_DONE)
        story_tell(run, "write on", "%s further records (%s) written without n%u, in %s (%s/s)",
                   text_of_count(transfer.records), run->installed.origin, run->victim,
                   text_of_time(transfer.seconds), story_rate(&transfer));
    return code;
}

static int restart_node(struct story *run)
{
    story_begin(run);
    int code = demo_start(&run->cluster, run->victim, NULL);
    if (code != EXIT_DONE)
        return code;
    const char *time = text_of_time(story_seconds(run));
    uint64_t keys = stats_keys(&run->cluster, run->victim);
    story_tell(run, "restart",
               "n%u serves again after %s with about %s keys (%s when it was killed): what step %u "
               "wrote is missing there",
               run->victim, time, text_of_count(keys), text_of_count(run->keys_before),
               run->step - 1);
    run->keys_before = keys;
    return EXIT_DONE;
}

/* One pass over the records of step 6 through the restarted node, asking all replicas. */
static int repair_pass(struct story *run, struct repair_counters *ret_counters,
                       struct transfer *ret_transfer)
{
    struct repair_counters before;
    const struct story_work work = { &run->installed, "installed", "repair", TRANSFER_COMPARE,
                                     "r=all",         run->victim, 1 };
    stats_repairs(&run->cluster, &before);
    int code = story_move(run, &work, ret_transfer);
    stats_settle(&run->cluster, ret_counters);
    ret_counters->read_repairs -= before.read_repairs;
    ret_counters->hints_delivered -= before.hints_delivered;
    return code;
}

static int repair_node(struct story *run)
{
    struct transfer transfer;
    struct repair_counters first, second;
    story_begin(run);
    int code = repair_pass(run, &first, &transfer);
    if (code != EXIT_DONE)
        return code;
    uint64_t keys = stats_keys(&run->cluster, run->victim);
    story_tell(run, "repair",
               "%s records read through n%u with r=all in %s: %s read repairs, %s hints "
               "delivered; n%u went from %s to about %s keys",
               text_of_count(transfer.records), run->victim, text_of_time(transfer.seconds),
               text_of_count(first.read_repairs), text_of_count(first.hints_delivered), run->victim,
               text_of_count(run->keys_before), text_of_count(keys));
    story_begin(run);
    code = repair_pass(run, &second, &transfer);
    if (code != EXIT_DONE)
        return code;
    if (second.read_repairs > 0)
        return fail(EXIT_NO, "a second pass still found %s records to repair",
                    text_of_count(second.read_repairs));
    story_tell(run, "equal",
               "a second pass over the same records found nothing left to repair: all "
               "replicas of them are equal");
    return EXIT_DONE;
}

int failure_show(struct story *run)
{
    static int (*const steps[])(struct story *) = { kill_node,    read_back,   write_on,
                                                    restart_node, repair_node, NULL };
    if (run->cluster.node_count < 3) {
        say_note("     failure    left out: it takes at least 3 nodes");
        return EXIT_DONE;
    }
    int code = EXIT_DONE;
    for (size_t i = 0; steps[i] != NULL && code == EXIT_DONE; i++)
        code = interrupt_wanted() ? EXIT_NO : steps[i](run);
    return code;
}
