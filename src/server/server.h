/* SPDX-License-Identifier: Apache-2.0 */
/** `kvorum server`: the real process around node/. */
#ifndef SERVER_SERVER_H
#define SERVER_SERVER_H

/** Run until SIGTERM or SIGINT.  `argv[0]` is the command's name, the flags follow ("--help" prints
 *  them).  Returns the exit code:
 *     0  stopped in order
 *     1  could not start
 *     2  configuration: every problem is on standard error
 *     8  refused as unsafe: the data directory is foreign, damaged, in use or of another cluster, a
 *        port is taken, the founder refused this node
 *    70  a disk lost what was written (does not return) */
int server_main(int argc, char **argv);

#endif
