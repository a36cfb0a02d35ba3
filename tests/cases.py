# SPDX-License-Identifier: MIT
"""How a test of scripts runs its cases: a line each, and those that are named, or all."""
import importlib.machinery
import importlib.util
import pathlib
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
CASES = []
LONG = []   # run only when named


class Skip(Exception):
    """This host cannot run the case; the text says why."""


def tool(name):
    """A tool of tools/ as a module; its name has no .py for import to find."""
    loader = importlib.machinery.SourceFileLoader(name, str(ROOT / "tools" / name))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(name, loader))
    loader.exec_module(module)
    return module


def case(function):
    """Marks a test; its docstring says what holds."""
    CASES.append(function)
    return function


def long_case(function):
    """The same for one that takes minutes, or what few hosts have."""
    LONG.append(function)
    return function


def run(test):
    """True, or the failure is printed and where it was; skipped is not failed."""
    try:
        test()
        print(f"ok    {test.__doc__}", flush=True)
        return True
    except Skip as why:
        print(f"skip  {test.__doc__}: {why}", flush=True)
        return True
    except (AssertionError, LookupError, ValueError, SyntaxError) as why:
        line = why.__traceback__.tb_next.tb_lineno
        print(f"FAIL  {test.__name__}: {test.__doc__}: line {line}: {type(why).__name__} {why}",
              flush=True)
        return False


def main(doc):
    """Run the cases, or those named; the exit status."""
    names = sys.argv[1:]
    if names[:1] in (["-h"], ["--help"]):
        print(doc)
        return 0
    failed = [test for test in CASES if not names or test.__name__ in names if not run(test)]
    return 1 if failed else 0


def told(test):
    """ok, FAIL or skip: what became of it, in a line."""
    word, note = "ok", ""
    begin = time.monotonic()
    try:
        test()
    except Skip as why:
        word, note = "skip", f" ({why})"
    except (AssertionError, LookupError, ValueError, OSError, subprocess.SubprocessError) as why:
        word, note = "FAIL", f"\n        {type(why).__name__}: {why}"
    print(f"  {word:<5} {test.__doc__} [{time.monotonic() - begin:.1f} s]{note}", flush=True)
    return word


def stage(doc):
    """The same as main(), for cases that may be skipped: with times, and a sum at the end."""
    names = sys.argv[1:]
    if names[:1] in (["-h"], ["--help"]):
        print(doc)
        return 0
    chosen = [test for test in CASES + LONG if test.__name__ in names] if names else CASES
    words = [told(test) for test in chosen]
    print(f"{words.count('ok')} passed, {words.count('FAIL')} failed, {words.count('skip')} skipped")
    return 1 if "FAIL" in words or not words else 0
