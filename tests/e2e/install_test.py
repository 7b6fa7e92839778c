#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What `make install` puts in place, used as a stranger would: from a folder elsewhere, with nothing of
the source tree but the example, through pkg-config."""
import os
import re
import shutil
import subprocess
import sys
import tempfile

from kvorum_e2e import ROOT, Skip, _folders, binary, case, equal, run

BUILD = os.path.realpath(os.environ.get("KVORUM_BUILD", os.path.join(ROOT, "build/release")))
PREFIX = "/opt/kvorum"
EXAMPLE = os.path.join(ROOT, "examples/embed.c")
SAID = "pet:cat says meow\npet:dog says woof\nthe cat's value has 4 bytes\n"
# Symbols that instrumented code brings along.
INSTRUMENTED = re.compile(r"__(asan|ubsan|tsan|odr_asan|gcov|start|stop|sanitizer)|^(mangle_path|__llvm)")

place = tempfile.mkdtemp(prefix="kvorum-install-")
_folders.append(place)
root = os.path.join(place, "root")
installed = root + PREFIX


def cached(name):
    """A setting of the build under test."""
    with open(os.path.join(BUILD, "CMakeCache.txt"), encoding="utf-8") as file:
        return (re.search(rf"^{name}:\w+=(.*)$", file.read(), re.MULTILINE) or [None, ""])[1]


SANITIZE = cached("KVORUM_SANITIZE")
COMPILER = cached("CMAKE_C_COMPILER") if SANITIZE else "cc"
FLAGS = [f"-fsanitize={SANITIZE}"] if SANITIZE else ["--coverage"] if cached("KVORUM_COVERAGE") == "ON" else []


def do(*words, **environment):
    """The output of a command that must succeed, run in the stranger's folder."""
    done = subprocess.run(words, cwd=place, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
                          env={**os.environ, "PKG_CONFIG_PATH": f"{installed}/lib/pkgconfig", **environment})
    if done.returncode != 0:
        raise AssertionError(f"{' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout + done.stderr


def pkg_config(*words):
    return do("pkg-config", *words, "kvorum").split()


def compile_program(name, source, flags, compiler=COMPILER):
    path = os.path.join(place, name)
    said = do(compiler, "-Wall", "-Wextra", "-Werror", source, *flags, *FLAGS, "-o", path)
    equal(said, "", "what the compiler said")
    return path


def write(name, text):
    path = os.path.join(place, name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def headers():
    text = ""
    for name in ("kvorum.h", "status.h"):
        with open(f"{installed}/include/kvorum/{name}", encoding="utf-8") as file:
            text += re.sub(r"/\*.*?\*/", "", file.read(), flags=re.DOTALL)
    return text


def declared():
    """The functions that the headers promise."""
    found = re.findall(r"^KVORUM_API\b[^;]*?\b(kvorum_\w+)\(", headers(), re.MULTILINE)
    assert len(found) > 40 and len(set(found)) == len(found), found
    return sorted(found)


def symbols(*words):
    """Defined ones, as nm prints them."""
    names = [line.split()[-1] for line in do("nm", "--defined-only", *words).splitlines() if len(line.split()) == 3]
    return sorted(name for name in names if not INSTRUMENTED.match(name))


@case("make install puts everything in its place, below DESTDIR and PREFIX")
def _():
    if BUILD == os.path.join(ROOT, "build/release"):
        subprocess.run(["make", "-s", "install", f"DESTDIR={root}", f"PREFIX={PREFIX}"], cwd=ROOT, check=True,
                       capture_output=True, stdin=subprocess.DEVNULL)
    else:
        subprocess.run(["cmake", "--install", BUILD, "--prefix", PREFIX], check=True, capture_output=True,
                       env={**os.environ, "DESTDIR": root})
    found = sorted(os.path.relpath(os.path.join(folder, name), installed)
                   for folder, _, names in os.walk(root) for name in names)
    version = do(f"{installed}/bin/kvorum", "version").split()[1]
    equal(found, ["bin/kvorum", "include/kvorum/kvorum.h", "include/kvorum/status.h", "lib/libkvorum.a",
                  "lib/libkvorum.so", "lib/libkvorum.so.0", f"lib/libkvorum.so.{version}",
                  "lib/pkgconfig/kvorum.pc", "share/man/man1/kvorum.1", "share/man/man3/libkvorum.3"])
    equal(do("pkg-config", "--modversion", "kvorum").strip(), version)


@case("the example links with the shared library through pkg-config, and runs")
def _():
    program = compile_program("shared", EXAMPLE, pkg_config("--cflags", "--libs"))
    equal(do(program, "pets-shared", LD_LIBRARY_PATH=f"{installed}/lib"), SAID)
    assert "libkvorum.so.0" in do("readelf", "-d", program)


@case("the same program links with the archive alone, and runs without the shared library")
def _():
    private = [flag for flag in pkg_config("--libs", "--static") if flag != "-lkvorum"]
    program = compile_program("archive", EXAMPLE, [*pkg_config("--cflags"), f"{installed}/lib/libkvorum.a", *private])
    equal(do(program, "pets-archive"), SAID)
    assert "libkvorum" not in do("readelf", "-d", program)


@case("the same program may be wholly static")
def _():
    if SANITIZE:
        raise Skip("sanitizers need the dynamic linker; the case above linked the archive")
    program = compile_program("static", EXAMPLE, ["-static", *pkg_config("--cflags", "--libs", "--static")])
    equal(do(program, "pets-static"), SAID)
    assert "NEEDED" not in do("readelf", "-d", program)


@case("both libraries export what the headers declare, and nothing else")
def _():
    equal(symbols("-D", f"{installed}/lib/libkvorum.so"), declared())
    equal(symbols("-g", f"{installed}/lib/libkvorum.a"), declared())
    assert all(name.startswith("kvorum_") for name in declared())


@case("macros and types of the headers are in one name space too")
def _():
    bare = headers()
    names = re.findall(r"^#define (\w+)", bare, re.MULTILINE)
    names += re.findall(r"\b(?:struct|enum) (\w+)", bare) + re.findall(r"^\} (\w+);", bare, re.MULTILINE)
    names.remove("X")
    equal([name for name in names if not re.match(r"kvorum_|KVORUM_", name)], [])


@case("a program may have functions with the names of ours")
def _():
    source = write("names.c", "#include <kvorum/kvorum.h>\n"
                   + "".join(f"int {name}(void);\nint {name}(void) {{ return 7; }}\n" for name in
                             ("arena_reset", "buffer_done", "lsm_open", "engine_close", "hash64", "log_write"))
                   + "int main(void) { kvorum_store *store; return kvorum_open(\"pets-names\", NULL, &store) "
                     "!= KVORUM_OK || kvorum_close(store) != NULL || lsm_open() != 7; }\n")
    private = [flag for flag in pkg_config("--libs", "--static") if flag != "-lkvorum"]
    do(compile_program("names", source, [*pkg_config("--cflags"), f"{installed}/lib/libkvorum.a", *private]))


@case("the headers compile by themselves, in old and new C and in C++, without a warning")
def _():
    for compiler, language, standards in (("cc", "c", ("c99", "c17")), ("c++", "c++", ("c++11", "c++20"))):
        for standard in standards:
            source = write("header." + language, "#include <kvorum/kvorum.h>\n#include <kvorum/status.h>\n"
                           "kvorum_bytes cat(void);\nkvorum_bytes cat(void) { return kvorum_text(\"cat\"); }\n")
            equal(do(compiler, "-x", language, f"-std={standard}", "-pedantic", "-Wall", "-Wextra", "-Werror",
                     *pkg_config("--cflags"), "-fsyntax-only", source), "")


@case("the shared library finds all it needs, and needs little")
def _():
    said = do("readelf", "-d", f"{installed}/lib/libkvorum.so")
    assert "[libkvorum.so.0]" in said, said
    needed = re.findall(r"NEEDED.*\[(.*?)\.so", said)
    if not FLAGS:
        equal([name for name in needed if name not in ("libc", "liblz4", "libzstd")], [])


@case("README.md shows the example, which is short, and what it does")
def _():
    with open(os.path.join(ROOT, "README.md"), encoding="utf-8") as file:
        shown = dict(re.findall(r"<!-- example (\S+?)(?:: [^>]*)? -->\s*```\w+\n(.*?)```", file.read(), re.DOTALL))
    with open(EXAMPLE, encoding="utf-8") as file:
        source = file.read()
    equal(shown["embed.c"], source)
    assert source.count("\n") < 60, source.count("\n")
    shutil.copy(EXAMPLE, place)
    path = f"{installed}/bin:{os.environ['PATH']}"
    for typed, said in re.findall(r"^\$ (.*)\n((?:[^$].*\n)*)", shown["typed"], re.MULTILINE):
        words = re.sub(r"^cc", " ".join([COMPILER, *FLAGS]), typed)
        equal(do("bash", "-c", words, PATH=path, LD_LIBRARY_PATH=f"{installed}/lib"), said, typed)


@case("the manual says what the binary and the header say")
def _():
    do(sys.executable, os.path.join(ROOT, "tools/man-pages"), binary(), os.path.join(place, "man"))
    for name in ("kvorum.1", "libkvorum.3"):
        with open(os.path.join(place, "man", name), encoding="utf-8") as made, \
             open(os.path.join(ROOT, "docs/man", name), encoding="utf-8") as kept:
            assert made.read() == kept.read(), f"docs/man/{name} is out of date. Next: tools/man-pages"


@case("the manual explains every function")
def _():
    with open(f"{installed}/share/man/man3/libkvorum.3", encoding="utf-8") as file:
        page = file.read()
    equal([name for name in declared() if f"{name}(" not in page], [])


run()
