#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs the functions test_*() of the files test_*.py beside this one in a virtual machine; prints TAP.

main.py [PATTERN]   PATTERN is a regular expression, searched in FILE.FUNCTION

It is like the runner of the system tests, but that one machine, booted once, runs all tests. They name what they need:
  vm    a running VM; after a failure the next test gets a fresh one
  tmp   an empty directory of this machine
$WSLBARE_VM is the directory that tests/vm/base filled, $WSLBARE_TREE the install tree.
"""

import inspect
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import vm as machines  # and with it, the way to the system tests' modules
import machine
import runner

TIMEOUT = 900


class Runner(runner.Runner):
    def __init__(self, directory):
        super().__init__()
        self.directory = directory
        self.vm = None
        self.failing = False

    def running_vm(self):
        if not self.vm or not self.vm.alive:
            self.drop()
            begin = time.monotonic()
            directory = tempfile.mkdtemp(dir=self.directory)
            self.vm = machines.VM(os.environ["WSLBARE_VM"], directory, os.environ.get("WSLBARE_TREE"),
                                  ["wslbared.service"])
            self.vm.boot()
            runner.diagnose(f"booted in {time.monotonic() - begin:.1f} s, {self.vm.state}")
        return self.vm

    def drop(self):
        vm, self.vm = self.vm, None
        if vm:
            vm.close()

    def call(self, module, function):
        arguments = {}
        for parameter in inspect.signature(function).parameters:
            if parameter == "vm":
                arguments[parameter] = self.running_vm()
            elif parameter == "tmp":
                arguments[parameter] = Path(tempfile.mkdtemp(dir=self.directory))
            else:
                raise TypeError(f"a test has no parameter {parameter}")
        signal.alarm(getattr(function, "timeout", TIMEOUT))
        try:
            function(**arguments)
        except machine.Skip:
            raise
        except Exception:
            self.failing = True
            raise

    def describe(self):
        try:
            runner.diagnose(self.vm.describe())
        except Exception as e:
            runner.diagnose(f"no more is known: {e}")

    def clean_up(self, keep_distro):
        if self.failing:
            self.describe()
        self.failing = False
        failures = machine.undo()
        if failures or not keep_distro:
            self.drop()
        return [f"cleaning up: {text}" for text in failures]


def main():
    machine.stop_on_signals()
    signal.signal(signal.SIGALRM, runner.expire)
    os.umask(0o022)

    tests = list(runner.discover(sys.argv[1] if len(sys.argv) > 1 else "", Path(__file__).parent))
    runner.say(f"1..{len(tests)}")
    with tempfile.TemporaryDirectory(prefix="wslbare-vm.") as directory:
        r = Runner(directory)
        try:
            passed = [r.run(number, *test, is_last=number == len(tests)) for number, test in enumerate(tests, 1)]
        finally:
            r.drop()
    return 0 if all(passed) else 1


if __name__ == "__main__":
    sys.exit(main())
