#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs the functions test_*() of the files test_*.py beside this one; prints TAP.

runner.py [PATTERN]   PATTERN is a regular expression, searched in FILE.FUNCTION

A test names what it needs as parameters:
  distro   a running Distro, shared by the tests of the file, booted with the options in the
           file's dictionary DISTRO; after a failure the next test gets a fresh one
  tmp      an empty directory
What a test makes besides is taken away when it ends. It raises Skip(reason) when it cannot run
here. A function's attribute timeout, in seconds, replaces the usual TIMEOUT. Both are for a machine that has nothing else
to do, see machine.patience.
"""

import importlib
import inspect
import re
import signal
import sys
import tempfile
import traceback
from pathlib import Path

import distro as distros
import machine
import sanitizers
from volumes import SERVICES

TIMEOUT = 120


def discover(pattern, directory=Path(__file__).parent):
    """Yields (module, name, function), by file and then in the order of the file."""
    for path in sorted(directory.glob("test_*.py")):
        module = importlib.import_module(path.stem)
        for name, function in vars(module).items():
            if name.startswith("test_") and inspect.isfunction(function):
                if re.search(pattern, f"{path.stem}.{name}"):
                    yield module, name, function


def say(text):
    print(text, flush=True)


def diagnose(text):
    for line in text.rstrip("\n").splitlines():
        say(f"# {line}")


def describe_distros():
    for distro in distros.running():
        diagnose(f"--- {distro.name}")
        try:
            diagnose(distro.describe())
        except Exception as e:
            diagnose(f"no more is known: {e}")


def expire(_number, _frame):
    raise TimeoutError("the test took too long")


class Runner:
    def __init__(self):
        self.distro = None
        self.mark = 0

    def shared_distro(self, module):
        if self.distro and not self.distro.alive:
            self.drop_distro()
        if not self.distro:
            self.distro = distros.Distro(**getattr(module, "DISTRO", {}))
            self.mark = machine.mark()
        return self.distro

    def drop_distro(self):
        distro, self.distro, self.mark = self.distro, None, 0
        if not distro:
            return
        try:
            if sanitizers.ENABLED and distro.alive:
                distro.systemctl("stop", *SERVICES, check=False)  # leaks are looked for at an orderly end
        finally:
            distro.close()

    def call(self, module, function):
        machine.start()
        signal.alarm(getattr(function, "timeout", TIMEOUT) * machine.patience)
        arguments = {}
        for parameter in inspect.signature(function).parameters:
            if parameter == "distro":
                arguments[parameter] = self.shared_distro(module)
            elif parameter == "tmp":
                arguments[parameter] = Path(tempfile.mkdtemp(dir=machine.tmp))
            else:
                raise TypeError(f"a test has no parameter {parameter}")
        function(**arguments)

    def clean_up(self, keep_distro):
        """Takes away what the test made, and returns what went wrong with that, or unseen before."""
        failures = machine.undo(self.mark)
        if not keep_distro or failures:
            try:
                self.drop_distro()
            except Exception as e:
                failures.append(str(e))
        return [f"cleaning up: {text}" for text in failures] + sanitizers.take()

    def run(self, number, module, name, function, is_last):
        """Runs one test, prints its result and returns whether that is a good one. After the last of a file the
        distribution goes."""
        title = f"{number} - {module.__name__}.{name}"
        good = True
        try:
            self.call(module, function)
            sanitizers.check()
        except machine.Skip as e:
            title += f" # SKIP {e}"
        except Exception as e:
            good = False
            signal.alarm(0)
            say(f"not ok {title}")
            diagnose("".join(traceback.format_exception(e)))
            describe_distros()
        finally:
            signal.alarm(0)

        failures = self.clean_up(keep_distro=good and not is_last)
        if good:
            good = not failures
            say(f"ok {title}" if good else f"not ok {title}")
        for text in failures:
            diagnose(text)
        return good


def main():
    machine.stop_on_signals()
    signal.signal(signal.SIGALRM, expire)

    tests = list(discover(sys.argv[1] if len(sys.argv) > 1 else ""))
    say(f"1..{len(tests)}")
    runner = Runner()
    passed = []
    for number, test in enumerate(tests, 1):
        is_last = number == len(tests) or tests[number][0] is not test[0]
        passed.append(runner.run(number, *test, is_last))
    machine.stop()
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
