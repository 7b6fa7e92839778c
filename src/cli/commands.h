/* SPDX-License-Identifier: Apache-2.0 */
/** What each command does.  All return an exit code and have said what went wrong. */
#ifndef CLI_COMMANDS_H
#define CLI_COMMANDS_H

#include "cli/option.h"

int command_get(const struct invocation *invocation);
int command_put(const struct invocation *invocation);
int command_del(const struct invocation *invocation);
int command_list(const struct invocation *invocation);
int command_status(const struct invocation *invocation);
int command_cluster_status(const struct invocation *invocation);
int command_cluster_plan(const struct invocation *invocation);
int command_cluster_commit(const struct invocation *invocation);
int command_cluster_clear(const struct invocation *invocation);
int command_cluster_join(const struct invocation *invocation);
int command_cluster_leave(const struct invocation *invocation);
int command_cluster_remove(const struct invocation *invocation);
int command_cluster_replace(const struct invocation *invocation);
int command_cluster_weight(const struct invocation *invocation);
int command_cluster_zone(const struct invocation *invocation);
int command_cluster_recover(const struct invocation *invocation);
int command_repair(const struct invocation *invocation);
int command_bucket_drop(const struct invocation *invocation);
int command_tasks_list(const struct invocation *invocation);
int command_tasks_status(const struct invocation *invocation);
int command_tasks_wait(const struct invocation *invocation);
int command_tasks_pause(const struct invocation *invocation);
int command_tasks_resume(const struct invocation *invocation);
int command_tasks_limit(const struct invocation *invocation);
int command_tasks_cancel(const struct invocation *invocation);
int command_scrub(const struct invocation *invocation);
int command_import(const struct invocation *invocation);
int command_export(const struct invocation *invocation);
int command_bench(const struct invocation *invocation);
int command_demo_start(const struct invocation *invocation);
int command_demo_kill(const struct invocation *invocation);
int command_demo_pause(const struct invocation *invocation);
int command_demo_resume(const struct invocation *invocation);
int command_demo_stop(const struct invocation *invocation);
int command_demo_status(const struct invocation *invocation);
int command_demo_run(const struct invocation *invocation);
int command_store_create(const struct invocation *invocation);
int command_store_put(const struct invocation *invocation);
int command_store_get(const struct invocation *invocation);
int command_store_delete(const struct invocation *invocation);
int command_store_scan(const struct invocation *invocation);
int command_store_inspect(const struct invocation *invocation);
int command_store_verify(const struct invocation *invocation);
int command_store_dump(const struct invocation *invocation);
int command_store_compact(const struct invocation *invocation);
int command_store_salvage(const struct invocation *invocation);
int command_config_check(const struct invocation *invocation);
int command_config_show(const struct invocation *invocation);
int command_version(const struct invocation *invocation);
int command_help(const struct invocation *invocation);
int command_completion(const struct invocation *invocation);

#endif
