#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The tools of the house are tools too: planted faults must be found, and nothing else."""
import os
import subprocess
import sys

from kvorum_e2e import ROOT, Skip, case, equal, rows, run, temporary_folder

SPDX = "/* SPDX-License-Identifier: Apache-2.0 */\n"
TARGETS = """run stop build install test test-all proof chaos sim fuzz bench bench-engines lint fmt asan tsan coverage
clean install-packages help""".split()


def tool(*words, environment=None, check=None):
    """(exit code, combined output) of tools/WORDS[0] WORDS[1:]."""
    with temporary_folder() as leavings:  # logs that a person would want to read afterwards
        done = subprocess.run([os.path.join(ROOT, "tools", words[0]), *words[1:]], cwd=ROOT,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, timeout=60,
                              stderr=subprocess.STDOUT, text=True,
                              env={**(environment or os.environ), "TMPDIR": leavings})
    if check is not None:
        equal(done.returncode, check, done.stdout)
    return done.returncode, done.stdout


def plant(root, files):
    for path, text in files.items():
        full = os.path.join(root, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "w", encoding="utf-8") as file:
            file.write(text)


@case("make help has a line for every target, and make alone shows it")
def _():
    for command in (["make", "help"], ["make"]):
        text = subprocess.run([*command, "--no-print-directory"], cwd=ROOT, check=True,
                              capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout
        shown = {line.split()[0]: line.split()[1:] for line in text.splitlines()[1:]}
        equal(sorted(shown), sorted(TARGETS), "targets")
        assert all(len(words) > 2 for words in shown.values()), text


# --- layers ------------------------------------------------------------------------------------

LAW = ("*: kvorum/status.h\nbase: +xxhash\nengine: base\nos: base +kernel\nsim: engine base os\n"
       "engine/memory: engine/common\n")
HEADERS = {"src/LAYERS": LAW, "include/kvorum/status.h": "", "include/kvorum/kvorum.h": "",
           "src/base/bytes.h": "", "src/engine/engine.h": "", "src/engine/common/log.h": "",
           "src/engine/lsm/lsm.h": "", "src/engine/memory/memory.h": "", "src/os/disk.h": "",
           "src/engine/common/log_internal.h": "",
           "tests/support/rows.h": ""}


def check_layers(path, include, expected):
    with temporary_folder() as root:
        plant(root, {**HEADERS, path: f"/* #include \"os/disk.h\" */\n#include {include}\n"})
        code, output = tool("layers", "--root", root)
        if expected is None:
            equal(code, 0, output)
        else:
            equal(code, 1, output)
            finding, _, last = output.rstrip().rpartition("\n")
            assert finding.startswith(path + ":") and expected in finding, output
            assert last.endswith(" 1 violations"), output


rows([
    ("layers: a lower layer is allowed", "src/engine/a.c", '"base/bytes.h"', None),
    ("layers: a higher layer is found", "src/base/a.c", '"engine/engine.h"', "base: may include"),
    ("layers: what holds for every folder is allowed", "src/os/a.c", '"kvorum/status.h"', None),
    ("layers: another public header is found", "src/os/a.c", "<kvorum/kvorum.h>", "os: may"),
    ("layers: a granted library is allowed", "src/base/a.c", "<xxhash.h>", None),
    ("layers: a library not granted is found", "src/engine/a.c", "<xxhash.h>", "`+xxhash`"),
    ("layers: the C library is allowed", "src/base/a.c", "<stdint.h>", None),
    ("layers: the kernel below os is found", "src/base/a.c", "<sys/socket.h>", "`+kernel`"),
    ("layers: the kernel in os is allowed", "src/os/a.c", "<sys/socket.h>", None),
    ("layers: an engine in an engine is found", "src/engine/lsm/a.c", '"engine/memory/memory.h"',
     "engines never see each other"),
    ("layers: an engine in the common folder is found", "src/engine/common/a.c",
     '"engine/lsm/lsm.h"', "engines never see each other"),
    ("layers: the common folder in an engine is allowed", "src/engine/lsm/a.c",
     '"engine/common/log.h"', None),
    ("layers: an internal header in its folder is allowed", "src/engine/common/a.c",
     '"engine/common/log_internal.h"', None),
    ("layers: an internal header in another folder is found", "src/engine/lsm/a.c",
     '"engine/common/log_internal.h"', "engine/lsm: engine/common shows others"),
    ("layers: an internal header is allowed to whom the law names", "src/engine/memory/a.c",
     '"engine/common/log_internal.h"', None),
    ("layers: an internal header is allowed to a test", "src/engine/lsm/a_test.c",
     '"engine/common/log_internal.h"', None),
    ("layers: a test may use test support", "src/base/a_test.c", '"tests/support/rows.h"', None),
    ("layers: a test may use the real world", "src/base/a_test.c", '"os/disk.h"', None),
    ("layers: a test is still bound otherwise", "src/base/a_test.c", '"engine/engine.h"', "base:"),
    ("layers: only a test may use test support", "src/base/a.c", '"tests/support/rows.h"', "base:"),
    ("layers: os in the simulator is found though granted", "sim/a.c", '"os/disk.h"', "sim:"),
    ("layers: os in a test of the simulator is found", "sim/a_test.c", '"os/disk.h"', "sim:"),
    ("layers: a name without its folder is found", "src/base/a.c", '"bytes.h"', "no such file"),
    ("layers: a folder without a law is found", "src/attic/a.c", "<stdio.h>", "no line for attic"),
], check_layers)


@case("layers: a cycle in the law itself is found")
def _():
    with temporary_folder() as root:
        plant(root, {"src/LAYERS": "base: os\nos: base\n"})
        assert "cycle: base -> os -> base" in tool("layers", "--root", root, check=1)[1]


# --- tidy --------------------------------------------------------------------------------------

def function(body):
    return SPDX + "int f(int a)\n{\n" + body + "}\n"


def check_tidy(path, text, expected):
    with temporary_folder() as root:
        plant(root, {path: text, os.path.join(os.path.dirname(path), "README.md"): "# Here\n"})
        code, output = tool("tidy", "--root", root)
        findings = output.splitlines()[:-1]
        if expected is None:
            equal((code, findings), (0, []), path)
        else:
            equal((code, len(findings)), (1, 1), output)
            assert expected in findings[0] and findings[0].startswith(path + ":"), output


GUARD = SPDX + "#ifndef BASE_A_H\n#define BASE_A_H\n\nint a;\n\n#endif\n"
UNFINISHED = "TO" "DO"
rows([
    ("tidy: a clean file passes", "src/base/a.c", SPDX + "int a;\n", None),
    ("tidy: a missing licence line is found", "src/base/a.c", "int a;\n", "first line"),
    ("tidy: 101 columns are found", "src/base/a.c", SPDX + f"/* {'a' * 95} */\n", "101 columns"),
    ("tidy: 100 columns pass", "src/base/a.c", SPDX + f"/* {'a' * 94} */\n", None),
    ("tidy: a tab is found", "src/base/a.c", SPDX + "int\ta;\n", "a tab"),
    ("tidy: blanks at the end are found", "src/base/a.c", SPDX + "int a; \n", "blanks"),
    ("tidy: a missing newline at the end is found", "src/base/a.c", SPDX + "int a;", "newline"),
    ("tidy: unfinished work is found", "src/base/a.c", SPDX + f"/* {UNFINISHED}: b */\n", "issue"),
    ("tidy: a header with its guard passes", "src/base/a.h", GUARD, None),
    ("tidy: a guard may name the folders between", "src/base/x/a.h",
     GUARD.replace("BASE_A_H", "BASE_X_A_H"), None),
    ("tidy: a foreign guard is found", "src/base/b.h", GUARD, "not BASE_B_H"),
    ("tidy: a header without guard is found", "src/base/a.h", SPDX + "int a;\n", "BASE_A_H"),
    ("tidy: a function of 70 lines passes", "src/base/a.c", function("    a++;\n" * 70), None),
    ("tidy: a function of 71 lines is found", "src/base/a.c", function("    a++;\n" * 71),
     "71 lines"),
    ("tidy: a file of 801 lines is found", "src/base/a.c", SPDX + "int a;\n" * 800, "801 lines"),
    ("tidy: nesting of 5 is found", "src/base/a.c", function(
        "".join(" " * 4 * depth + "if (a)\n" for depth in range(1, 6))), "nested 5"),
    ("tidy: strcpy is found, with what to use", "src/base/a.c", function("    strcpy(p, q);\n"),
     "strcpy() is banned here; use struct bytes"),
    ("tidy: a banned name in a comment or string passes", "src/base/a.c",
     function('    say("strcpy(x)"); /* strcpy(x) */\n'), None),
    ("tidy: a member named like a banned call passes", "src/base/a.c",
     function("    disk->ops->open(a);\n    my_open(a);\n"), None),
    ("tidy: printing in a library is found", "src/base/a.c", function('    printf("");\n'),
     "printf"),
    ("tidy: printing in the command line passes", "src/cli/a.c", function('    printf("");\n'),
     None),
    ("tidy: printing in a test passes", "src/base/a_test.c", function('    printf("");\n'), None),
    ("tidy: reading a clock below os is found", "src/node/a.c", function("    time(NULL);\n"),
     "base/clock.h"),
    ("tidy: reading a clock in os passes", "src/os/a.c", function("    time(NULL);\n"), None),
    ("tidy: a call with a reason passes", "src/base/a.c",
     function("    abort(); /* tidy: abort, because this is a test */\n"), None),
    ("tidy: a reason for another call does not help", "src/base/a.c",
     function("    abort(); /* tidy: exit, because this is a test */\n"), "abort"),
    ("tidy: a script without licence is found", "tools/a", "#!/bin/sh\ntrue\n", "SPDX"),
], check_tidy)


@case("tidy: a folder of src/ without README.md is found")
def _():
    with temporary_folder() as root:
        plant(root, {"src/base/a.c": SPDX + "int a;\n"})
        assert tool("tidy", "--root", root, check=1)[1].startswith("src/base: no README.md")


@case("tidy: two headers with one guard are found")
def _():
    with temporary_folder() as root:
        plant(root, {"src/base/x/a.h": GUARD, "src/base/y/a.h": GUARD,
                     "src/base/x/README.md": "x\n", "src/base/y/README.md": "y\n"})
        assert "also that of src/base/x/a.h" in tool("tidy", "--root", root, check=1)[1]


# --- run-tests ---------------------------------------------------------------------------------

def check_counts(script, expected):
    with temporary_folder() as folder:
        path = os.path.join(folder, "fake")
        plant(folder, {"fake": "#!/bin/bash\n" + script})
        os.chmod(path, 0o755)
        code, output = tool("run-tests", "--program", path)
        equal(output.splitlines()[-1], expected, output)
        equal(code, 0 if expected.endswith(" 0 failed") else 1, "exit code")


rows([
    ("run-tests: passed cases are counted", "echo 1..2; echo ok 1 - a; echo ok 2 - b",
     "2 passed, 0 failed"),
    ("run-tests: the plan may come last", "echo ok 1; echo 1..1", "1 passed, 0 failed"),
    ("run-tests: a failed case is counted once", "echo 1..2; echo ok 1; echo not ok 2; exit 1",
     "1 passed, 1 failed"),
    ("run-tests: a failed case counts though the exit code is 0", "echo 1..1; echo not ok 1",
     "0 passed, 1 failed"),
    ("run-tests: a program that crashes is one failure", "echo 1..1; echo ok 1; kill -SEGV $$",
     "1 passed, 1 failed"),
    ("run-tests: a silent program is one failure", "true", "0 passed, 1 failed"),
    ("run-tests: a program without plan is one failure", "echo ok 1", "1 passed, 1 failed"),
    ("run-tests: missing cases are one failure", "echo 1..3; echo ok 1", "1 passed, 1 failed"),
    ("run-tests: a plan of nothing is one failure", "echo 1..0", "0 passed, 1 failed"),
    ("run-tests: an exit code without failed case is one failure", "echo 1..1; echo ok 1; exit 3",
     "1 passed, 1 failed"),
    ("run-tests: a skipped case is neither", "echo 1..2; echo ok 1; echo 'ok 2 - b # SKIP no'",
     "1 passed, 0 failed"),
    ("run-tests: cmocka's way to skip is understood", "echo 1..2; echo ok 1; "
     "echo 'not ok 2 # SKIP b'", "1 passed, 0 failed"),
    ("run-tests: two groups in one program add up", "echo 1..1; echo ok 1; echo 1..1; echo ok 1",
     "2 passed, 0 failed"),
    ("run-tests: giving up is one failure", "echo 1..1; echo ok 1; echo 'Bail out! no disk'",
     "1 passed, 1 failed"),
    ("run-tests: a program that hangs is stopped and one failure",
     "# timeout: 1\necho 1..1; echo ok 1; sleep 600", "1 passed, 1 failed"),
], check_counts)


@case("run-tests: nothing tested is a failure")
def _():
    equal(tool("run-tests", check=1)[1].splitlines()[-1], "0 passed, 1 failed")


@case("run-tests: failures are shown in full, what passed is not")
def _():
    with temporary_folder() as folder:
        path = os.path.join(folder, "fake")
        plant(folder, {"fake": "#!/bin/bash\necho 1..2; echo ok 1 - fine; echo '# chatter'\n"
                               "echo not ok 2 - broken; echo '# because'\n"})
        os.chmod(path, 0o755)
        _, output = tool("run-tests", "--program", path, check=1)
        assert "not ok 2 - broken" in output and "# because" in output, output
        assert "fine" not in output and "chatter" not in output, output


@case("run-tests: of programs that wait mostly one more than JOBS run at a time, of others one")
def _():
    for mark, slow, jobs, tries, expected in (("# waits mostly", 1, 1, 100, 0),
                                              ("# waits mostly", 5, 1, 3, 1),  # under a sanitizer
                                              ("# waits mostly", 5, 2, 100, 0),
                                              ("# works", 1, 2, 3, 1)):
        with temporary_folder() as folder:
            words = []
            for own, other in ("ab", "ba"):  # each waits for the other one to have begun
                path = os.path.join(folder, own)
                plant(folder, {own: f"#!/bin/bash\n{mark}\ntouch {folder}/{own}.begun; echo 1..1\n"
                                    f"for i in {{1..{tries}}}; do [ -e {folder}/{other}.begun ] && break\n"
                                    f"sleep 0.1; done\n"
                                    f"[ -e {folder}/{other}.begun ] && echo ok 1 || echo not ok 1\n"})
                os.chmod(path, 0o755)
                words += ["--program", path]
            tool("run-tests", *words, check=expected,
                 environment={**os.environ, "JOBS": str(jobs), "KVORUM_SLOW": str(slow)})


@case("run-tests: what a program leaves running is stopped")
def _():
    with temporary_folder() as folder:
        path = os.path.join(folder, "fake")
        plant(folder, {"fake": f"#!/bin/bash\nsleep 600 & echo $! >{folder}/pid\n"
                               "echo 1..1; echo ok 1\n"})
        os.chmod(path, 0o755)
        tool("run-tests", "--program", path, check=0)
        with open(os.path.join(folder, "pid"), encoding="utf-8") as file:
            state = f"/proc/{file.read().strip()}/stat"
        if os.path.exists(state):  # a zombie, where nobody reaps orphans, is as good as gone
            with open(state, encoding="utf-8") as file:
                equal(file.read().split()[2], "Z", "state of the process left behind")


# --- install-packages --------------------------------------------------------------------------

def with_fakes(folder, fakes):
    plant(folder, {f"bin/{name}": "#!/bin/bash\n" + text for name, text in fakes.items()})
    for name in fakes:
        os.chmod(os.path.join(folder, "bin", name), 0o755)
    return {**os.environ, "PATH": f"{folder}/bin:{os.environ['PATH']}"}


def need_dpkg():
    if not os.path.exists("/usr/bin/dpkg-query"):
        raise Skip("this is no Debian")


@case("install-packages: without root it prints one command and exits 2")
def _():
    need_dpkg()
    with temporary_folder() as folder:
        plant(folder, {"list": "# tools\nbash  a shell\nno-such-package  because\nnor-this\n"})
        fakes = with_fakes(folder, {"id": "echo 1000", "sudo": "exit 1"})
        _, output = tool("install-packages", f"{folder}/list", environment=fakes, check=2)
        equal(output.splitlines()[-1], "sudo apt-get install -y no-such-package nor-this")


@case("install-packages: with root it updates, then installs what is missing and nothing else")
def _():
    need_dpkg()
    with temporary_folder() as folder:
        plant(folder, {"list": "bash  a shell\nno-such-package\n"})
        fakes = with_fakes(folder, {"id": "echo 0", "apt-get": f'echo "$@" >>{folder}/calls'})
        tool("install-packages", f"{folder}/list", environment=fakes, check=0)
        with open(f"{folder}/calls", encoding="utf-8") as file:
            update, install = file.read().splitlines()
        assert update.endswith(" update") and install.endswith("no-such-package"), update + install
        assert "bash" not in install, install


@case("install-packages: silent when all is there")
def _():
    need_dpkg()
    with temporary_folder() as folder:
        plant(folder, {"list": "bash  a shell\n"})
        equal(tool("install-packages", f"{folder}/list", check=0)[1], "", "output")


if sys.version_info < (3, 9):
    sys.exit("python 3.9 or newer is needed")
run()
