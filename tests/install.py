#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What make install puts where, the manual page, and completion in bash.

usage: tests/install.py [NAME...]

BUILD: where duet was built (default: build). Exit status 0: no failure.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

sys.dont_write_bytecode = True
import cases  # noqa: E402
from cases import ROOT, Skip, case, tool  # noqa: E402

BUILD = os.environ.get("BUILD", "build")
DUET = (ROOT / BUILD / "duet").resolve()
COMPLETION = ROOT / "tools/duet.bash-completion"
PREFIX = "/opt/duet"

mkman = tool("mkman")


def make(*words):
    """make, as from a shell."""
    plain = {name: value for name, value in os.environ.items()
             if name not in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES")}
    done = subprocess.run(["make", "-C", ROOT, f"BUILD={BUILD}", f"PREFIX={PREFIX}", *words],
                          env=plain, capture_output=True, text=True, check=False,
                          stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr


def helped(*words):
    """What duet says."""
    return subprocess.run([DUET, "help", *words], capture_output=True, text=True,
                          check=True).stdout


def long_options(text):
    """The options that a help text explains."""
    return set(re.findall(r"^ {2,6}(?:-\w, )?(--[a-z][a-z0-9-]*)", text, re.M))


def files(root):
    """Whatever is no folder."""
    return {str(path.relative_to(root)) for path in root.rglob("*") if not path.is_dir()}


@case
def installed_and_gone():
    """install: program, manual, completion, pages whose links hold; uninstall leaves no file"""
    with tempfile.TemporaryDirectory() as scratch:
        make("install", f"DESTDIR={scratch}")
        root = pathlib.Path(scratch + PREFIX)
        there = files(root)
        doc = "share/doc/duet/"
        assert {"bin/duet", "share/man/man1/duet.1", "share/bash-completion/completions/duet",
                doc + "LICENSE", doc + "README.md", doc + "docs/networking.md",
                doc + "docs/img/virtio-tx.svg", doc + "docs/course/vm200.c"} <= there, there
        assert os.access(root / "bin/duet", os.X_OK)
        said = subprocess.run([root / "bin/duet", "version"], capture_output=True, text=True,
                              check=True).stdout
        assert said.startswith("duet "), said
        assert f"{PREFIX}/share/doc/duet" in (root / "share/man/man1/duet.1").read_text()
        for page in (root / doc).rglob("*.md"):
            for target in re.findall(r"\]\(([^)\s#]+)", page.read_text()):
                assert "://" in target or (page.parent / target).exists(), f"{page}: {target}"
        make("uninstall", f"DESTDIR={scratch}")
        assert not files(root), files(root)


@case
def manual_is_complete():
    """the manual page has every option, command and exit status that duet help has"""
    made = mkman.page(DUET, (ROOT / "docs/duet.1.in").read_text(), "/doc")
    words = made.replace("Fl -", "--")
    names = mkman.topics(helped())
    assert {"run", "probe", "calibrate"} <= set(names), names
    for name in names:
        assert f".Sh COMMAND {name.upper()}\n" in made, made
        for option in long_options(helped(name)):
            assert f".It {option}" in words or f" , {option}" in words, option
    for term in ("128+N", "irq-page", "mmio", "tap=IFNAME"):
        assert f".It Cm {term}\n" in made, term
    assert not re.search("@[A-Z]+@", made), made
    assert "\n.It Ar @FILE\nthe words in FILE" in made, made


@case
def manual_is_sound():
    """mandoc finds nothing wrong with the manual page"""
    if not shutil.which("mandoc"):
        raise Skip("mandoc is not installed")
    made = mkman.page(DUET, (ROOT / "docs/duet.1.in").read_text(), "/doc")
    done = subprocess.run(["mandoc", "-T", "lint", "-W", "warning"], input=made,
                          capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@case
def manual_of_odd_help():
    """mkman: help of a form that it does not know is refused, as is a duet that does not run"""
    with tempfile.TemporaryDirectory() as scratch:
        fake = pathlib.Path(scratch, "duet")
        fake.write_text("#!/bin/sh\necho 'usage: duet help [run]'\necho\n"
                        "printf '  -x, --xx N  text\\n what?\\n'\n")
        fake.chmod(0o755)
        for duet, why in ((fake, "no option: ' what?'"), (f"{scratch}/no", "cannot run")):
            done = subprocess.run([ROOT / "tools/mkman", duet, ROOT / "docs/duet.1.in"],
                                  capture_output=True, text=True, check=False)
            assert done.returncode == 3 and why in done.stderr and not done.stdout, done


@case
def text_stays_text():
    """mkman: what begins like a request or holds a backslash is text in the page"""
    assert mkman.plain(".Sh no") == "\\&.Sh no" and mkman.plain("a\\b") == "a\\eb"


@case
def package():
    """deb: control says what it needs, and the same tree gives the same package twice"""
    if not shutil.which("dpkg-shlibdeps"):
        raise Skip("dpkg-dev is not installed")
    made = []
    for _ in range(2):
        done = subprocess.run([ROOT / "tools/mkdeb", "7.0-1"], capture_output=True, text=True,
                              env={**os.environ, "BUILD": str(DUET.parent)}, check=True)
        made.append(pathlib.Path(done.stdout.strip()).read_bytes())
    deb = done.stdout.strip()
    fields, names = (subprocess.run(["dpkg-deb", what, deb], capture_output=True, text=True,
                                    check=True).stdout for what in ("-f", "-c"))
    os.unlink(deb)
    assert made[0] == made[1]
    assert "\nVersion: 7.0-1\n" in fields and "Recommends: passt\n" in fields, fields
    needs = re.search("^Depends: (.*)$", fields, re.M).group(1)
    assert all(name in needs for name in ("libc6 ", "libelf1 ", "libseccomp2 ")), needs
    for name in ("bin/duet", "share/man/man1/duet.1.gz", "share/doc/duet/copyright",
                 "share/doc/duet/changelog.Debian.gz", "share/bash-completion/completions/duet"):
        assert f" ./usr/{name}\n" in names and "./usr/local" not in names, names
    assert len(re.findall(" root/root ", names)) == len(names.splitlines()), names


@case
def package_of_no_version():
    """deb: a version that Debian would not take is refused with status 2"""
    done = subprocess.run([ROOT / "tools/mkdeb", "v1"], capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "0.1.0-1" in done.stderr, done


def complete(*words):
    """What bash offers for the last of WORDS after duet."""
    script = ('. "$0"; compopt() { :; }; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); '
              '_duet_complete "$1" "${@: -1}" "${@: -2:1}"; printf "%s\\n" "${COMPREPLY[@]}"')
    done = subprocess.run(["bash", "-c", script, COMPLETION, DUET, *words], capture_output=True,
                          text=True, check=True, cwd=ROOT)
    assert not done.stderr, done.stderr
    return [line for line in done.stdout.splitlines() if line]


@case
def completion_of_words():
    """completion: commands, topics and every option, of the command that was typed"""
    topics = mkman.topics(helped())
    assert set(complete("")) == {*topics, "help", "version"}, complete("")
    assert complete("help", "") == topics
    for topic in topics:
        offered = complete(topic, "--")
        assert set(offered) == long_options(helped(topic)), offered
        assert len(offered) == len(set(offered)), offered


@case
def completion_of_values():
    """completion: cards, rungs, trace classes after a comma, on and off, files, nothing"""
    assert complete("run", "-n", "v") == ["virtio,"]
    assert complete("run", "--net", "e1000,null,zero") == ["e1000,null,zero-copy="]
    assert complete("run", "--trace", "mmio,p") == ["mmio,pio", "mmio,pci"]
    assert complete("run", "--sandbox", "o") == ["on", "off"]
    assert complete("run", "-k", "READ") == ["README.md"]
    assert complete("run", "READ") == ["README.md"]
    assert not complete("run", "--memory", "")


if __name__ == "__main__":
    sys.exit(cases.stage(__doc__))
