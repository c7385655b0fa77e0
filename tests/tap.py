#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Runs programs that print TAP, shows what failed and counts every case.

tap.py [options] run NAME COMMAND…        one program
tap.py [options] meson BUILDDIR SUITE…    the tests of these suites that meson knows of

A program that ends badly without saying so, prints no plan or breaks it, or takes too long, is a
failed case of its own.
"""

import argparse
import concurrent.futures
import json
import os
import re
import shlex
import signal
import subprocess
import sys
import threading
from pathlib import Path

PLAN = re.compile(r"1\.\.(\d+)")
CASE = re.compile(r"(not )?ok\b[ \d]*(?:- )?(.*)")
DIRECTIVE = re.compile(r"(.*?)\s*#\s*(skip|todo)\b\S*\s*(.*)", re.IGNORECASE)

LAST_LINES = 30


class Tap:
    """Reads what one program prints, and makes of it counts and a text for people."""

    def __init__(self, name, say):
        self.name = name
        self.say = say
        self.passed = self.failed = self.skipped = 0
        self.failures = []
        self.plan = None
        self.telling = False  # what follows a failed case belongs to it
        self.lines = []

    def feed(self, line):
        self.lines.append(line)
        if match := PLAN.match(line):
            self.plan = int(match[1])
            if self.plan == 0:
                self.skipped += 1
                directive = DIRECTIVE.match(line)
                self.say(f"skipped: {self.name}: {directive[3] if directive else 'it says no reason'}")
        elif match := CASE.match(line):
            self.case(bool(match[1]), match[2])
        elif line.startswith("Bail out!"):
            self.fail(line)
        elif self.telling:
            self.say(f"    {line}")

    def case(self, failed, text):
        directive = DIRECTIVE.match(text)
        self.telling = failed and not directive
        if directive:
            self.skipped += 1
            self.say(f"skipped: {self.name}: {directive[1]}: {directive[3]}")
        elif failed:
            self.fail(text)
        else:
            self.passed += 1

    def fail(self, text):
        self.failed += 1
        self.failures.append(f"{self.name}: {text}")
        self.say(f"FAILED: {self.failures[-1]}")

    def problem(self, status):
        """What is wrong with how the program ended, or None."""
        cases = self.passed + self.failed + self.skipped
        if status < 0:
            return f"killed by {signal.Signals(-status).name}"
        if self.plan is None:
            return f"no plan, exit status {status}"
        if self.plan not in (0, cases):
            return f"{self.plan} cases planned, {cases} seen, exit status {status}"
        if status != 0 and not self.failed:
            return f"exit status {status}"
        return None


def kill(process):
    """Kills a program and its children, which are in a process group of their own."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


class Runner:
    def __init__(self, options):
        self.options = options
        self.processes = set()

    def run(self, name, command, say, cwd=None, env=None, timeout=None):
        """Runs one program and returns its Tap."""
        tap = Tap(name, (lambda _: None) if self.options.verbose else say)
        expired = threading.Event()
        process = subprocess.Popen(
            command,
            cwd=cwd,
            env={**os.environ, **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="backslashreplace",
            start_new_session=True,
        )
        self.processes.add(process)

        def expire():
            expired.set()
            kill(process)

        timer = threading.Timer(timeout, expire) if timeout else None
        if timer:
            timer.start()
        try:
            with process.stdout, self.open_log(name) as log:
                for line in process.stdout:
                    log.write(line)
                    if self.options.verbose:
                        say(line.rstrip("\n"))
                    tap.feed(line.rstrip("\n"))
            status = process.wait()
        finally:
            if timer:
                timer.cancel()
        self.processes.discard(process)

        problem = f"took longer than {timeout} s" if expired.is_set() else tap.problem(status)
        if problem:
            tap.fail(problem)
            if self.options.verbose:
                say(f"FAILED: {name}: {problem}")
            for line in tap.lines[-LAST_LINES:]:
                tap.say(f"    {line}")
        return tap

    def open_log(self, name):
        if not self.options.log:
            return open(os.devnull, "w")
        self.options.log.mkdir(parents=True, exist_ok=True)
        return open(self.options.log / f"{name.replace('/', '-')}.log", "w")

    def end(self):
        """Has the programs clean up after themselves, and waits for it."""
        for process in list(self.processes):
            process.terminate()
        for process in list(self.processes):
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                kill(process)


def meson_tests(builddir, suites, pattern, wrapper):
    """Yields what Runner.run() needs, for each test of these suites."""
    text = subprocess.run(["meson", "introspect", "--tests", builddir], check=True, capture_output=True).stdout
    for test in json.loads(text):
        if not {suite.rpartition(":")[2] for suite in test["suite"]} & set(suites):
            continue
        if not re.search(pattern, test["name"]):
            continue
        command = test["cmd"]
        if wrapper:
            with open(command[0], "rb") as f:
                if f.read(4) != b"\x7fELF":
                    continue
        timeout = test["timeout"] * 10  # sanitizers, valgrind and a busy machine take theirs
        yield {
            "name": test["name"],
            "command": wrapper + command,
            "cwd": test["workdir"],
            "env": test["env"],
            "timeout": timeout if timeout > 0 else None,
        }


def run_meson(runner, options):
    tests = meson_tests(options.arguments[0], options.arguments[1:], options.pattern, shlex.split(options.wrap))

    def run(test):
        lines = []
        tap = runner.run(say=lines.append, **test)
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()
        return tap

    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        try:
            return list(pool.map(run, tests))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            runner.end()
            raise


def run_one(runner, options):
    def say(line):
        print(line, flush=True)

    try:
        return [runner.run(options.arguments[0], options.arguments[1:], say)]
    except BaseException:
        runner.end()
        raise


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("-v", "--verbose", action="store_true", help="show everything that is printed")
    parser.add_argument("--counts", type=Path, help="append the counts to this file")
    parser.add_argument("--failures", type=Path, help="append the names of what failed to this file")
    parser.add_argument("--log", type=Path, help="keep the output in this directory")
    parser.add_argument("--wrap", default="", help="run binaries with this before them")
    parser.add_argument("--pattern", default="", help="only tests whose name has this")
    parser.add_argument("mode", choices=["run", "meson"])
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args()

    ending = signal.SIGHUP, signal.SIGINT, signal.SIGTERM

    def leave(number, _frame):
        for other in ending:
            signal.signal(other, signal.SIG_IGN)
        raise SystemExit(128 + number)

    for number in ending:
        signal.signal(number, leave)

    runner = Runner(options)
    taps = run_meson(runner, options) if options.mode == "meson" else run_one(runner, options)
    counts = [sum(getattr(tap, field) for tap in taps) for field in ("passed", "failed", "skipped")]
    if options.counts:
        with open(options.counts, "a") as f:
            print(*counts, file=f)
    if options.failures:
        with open(options.failures, "a") as f:
            f.writelines(f"{text}\n" for tap in taps for text in tap.failures)
    return 1 if counts[1] else 0


if __name__ == "__main__":
    sys.exit(main())
