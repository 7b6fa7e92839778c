# SPDX-License-Identifier: Apache-2.0
"""The project's own C files, and what they include.  Shared by tidy, layers and lint."""
import os
import re

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
C_FOLDERS = ("include", "src", "sim", "tests", "bench", "examples")
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*(?:"([^"\n]+)"|<([^>\n]+)>)', re.MULTILINE)


def files(root, folders, suffixes):
    """Paths relative to root, sorted; hidden folders are left out."""
    found = []
    for top in folders:
        for folder, below, names in os.walk(os.path.join(root, top)):
            below[:] = sorted(b for b in below if b[0] != "." and b != "__pycache__")
            found += [os.path.relpath(os.path.join(folder, name), root)
                      for name in names if name.endswith(suffixes)]
    return sorted(found)


def c_files(root, folders=C_FOLDERS):
    return files(root, folders, (".c", ".h"))


def read(root, path):
    with open(os.path.join(root, path), encoding="utf-8", errors="replace") as file:
        return file.read()


def blank(match):
    return re.sub(r"[^\n]", " ", match[0])


def without_comments(text):
    """The same text with comments and the insides of strings blanked; lines and columns stay."""
    token = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'',
                       re.DOTALL)
    return token.sub(lambda m: blank(m) if m[0][0] == "/"
                     else m[0][0] + " " * (len(m[0]) - 2) + m[0][0], text)


def includes(text):
    """(line, quoted name or None, angle name or None) of every #include outside comments."""
    bare = re.sub(r"/\*.*?\*/", blank, text, flags=re.DOTALL)
    for match in INCLUDE.finditer(bare):
        yield bare.count("\n", 0, match.start()) + 1, match[1], match[2]


def resolve(root, name):
    """Path of the project's file that `#include "name"` means; None when it is no file of ours."""
    candidates = [os.path.join(place, name) for place in ("src", "include", "", "tests")]
    if name.endswith(".pb-c.h"):
        candidates.append(os.path.join("src", name[:-len(".pb-c.h")] + ".proto"))
    for path in candidates:
        if os.path.isfile(os.path.join(root, path)):
            return os.path.normpath(path)
    return None
