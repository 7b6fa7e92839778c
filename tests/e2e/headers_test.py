#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every header compiles alone: it includes what it uses.  One case a folder."""
import concurrent.futures
import os
import subprocess
import sys

from kvorum_e2e import ROOT, rows, run

sys.path.insert(0, os.path.join(ROOT, "tools"))
from sources import files  # noqa: E402  (the path comes first)

BUILD = os.environ.get("KVORUM_BUILD", os.path.join(ROOT, "build/release"))
COMPILER = ["cc", "-std=gnu17", "-fsyntax-only", "-Wall", "-Wno-unused", "-D_GNU_SOURCE", "-xc",
            "-Isrc", "-Iinclude", "-I.", "-Itests", f"-I{BUILD}/generated",
            "-I/usr/share/include/llhttp", '-DKVORUM_VERSION="0"']


def compile_alone(path):
    # Twice: the guard must hold too.
    text = f'#include "{path}"\n#include "{path}"\n'
    return subprocess.run([*COMPILER, "-"], input=text, cwd=ROOT, capture_output=True,
                          text=True).stderr


def check(paths):
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        errors = "".join(pool.map(compile_alone, paths))
    if errors:
        raise AssertionError("\n" + errors)


folders = {}
for header in files(ROOT, ("include", "src", "sim", "bench"), (".h",)):
    folders.setdefault(os.path.dirname(header), []).append(header)
rows([(f"the headers of {folder} compile alone", paths) for folder, paths in folders.items()],
     check)
run()
