#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What shells offer behind wslbarectl, and what they run for that (TAP)."""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import tap

COMPLETION = Path(__file__).resolve().parents[2] / "conf/completion"

# Writes down what it is asked, and answers as far as completions ask.
PROGRAM = """#!/bin/sh
echo "$*" >>"$ASKED"
case "$*" in
*--help) printf '%s\n' "wslbarectl $1" "" "  -h --help  Show this help" "" Columns: "  NAME            of it" "  FSUSE%          how full" ;;
*--json) echo '{"volumes": [{"name": "data"}]}' ;;
"list --no-legend --output=name") printf '%s\n' data backup ;;
"devices --no-legend --output=node") printf '%s\n' /dev/sdb /dev/sdc1 ;;
esac
"""

BASH = """
source "$1"
shift
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
compopt() { :; }
_wslbarectl
printf '%s\n' "${COMPREPLY[@]}"
"""


class Shell:
    """Completes lines in an empty directory of its own."""

    def __init__(self, directory):
        self.directory = directory
        self.asked = directory / "asked"
        (directory / "bin").mkdir()
        (directory / "here").mkdir()
        program = directory / "bin/wslbarectl"
        program.write_text(PROGRAM)
        program.chmod(0o755)

    def run(self, command):
        """What is offered; what the program was asked is in .calls."""
        environment = {**os.environ, "PATH": f"{self.directory}/bin:{os.environ['PATH']}", "ASKED": str(self.asked),
                       "HOME": str(self.directory)}
        self.asked.write_text("")
        done = subprocess.run(command, cwd=self.directory / "here", env=environment, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, check=False)
        self.calls = self.asked.read_text().splitlines()
        return [line for line in done.stdout.splitlines() if line]

    def bash(self, *words):
        return self.run(["bash", "--norc", "-c", BASH, "bash", COMPLETION / "bash/wslbarectl", "wslbarectl", *words])

    def fish(self, line):
        script = f"source {COMPLETION}/fish/wslbarectl.fish; complete -C {line!r}"
        return [offer.split("\t")[0] for offer in self.run(["fish", "--no-config", "-c", script])]


def check(is_, wanted, what):
    if is_ != wanted:
        yield f"{what}: {is_}, not {wanted}"


def has(is_, wanted, what):
    if not set(wanted) <= set(is_):
        yield f"{what}: {is_} lacks {sorted(set(wanted) - set(is_))}"


def check_bash_columns(shell):
    """Are told by the help: the verb itself does what it is for."""
    for words in (["bench", "--output", "=", ""], ["bench", "--output", "="], ["bench", "-o", ""], ["list", "-o", ""],
                  ["doctor", "--output", ""]):
        yield from check(shell.bash(*words), ["name", "fsuse%"], words)
        yield from check(shell.calls, [f"{words[0]} --help"], words)
    yield from check(shell.bash("list", "-o", "fs"), ["fsuse%"], "fs")


def check_bash_without_verb(shell):
    """Options before a verb are those of status, and their values no verbs."""
    options = ["--json", "--watch", "--lines=", "--output=", "--no-legend", "--help"]
    yield from has(shell.bash("-"), [*options, "--version"], "-")
    yield from has(shell.bash("--watch", "--"), options, "--watch --")
    yield from check(shell.bash("-n", ""), [], "-n")
    for words in ["-n", "5", ""], ["--lines", "=", "5", ""], ["--json", ""], ["status", ""], ["show", ""]:
        yield from check(shell.bash(*words), ["data", "backup"], words)
    yield from check(shell.bash("-o", ""), ["name", "fsuse%"], "-o")
    yield from check(shell.bash("dev"), ["devices"], "dev")
    yield from check(shell.bash("adopt", "-n", ""), ["/dev/sdb", "/dev/sdc1"], "adopt -n")


def check_bash_files(shell):
    """Whatever they are called."""
    here = shell.directory / "here"
    for name in "a b.conf", "$(touch run).conf", "`touch run`":
        (here / name).touch()
    yield from check(sorted(shell.bash("verify", "")), ["$(touch run).conf", "`touch run`", "a b.conf"], "verify")
    if (here / "run").exists():
        yield "a file's name was run"


def check_fish(shell):
    for line in "wslbarectl bench --output=", "wslbarectl bench -o ", "wslbarectl list -o ":
        shell.fish(line)
        yield from check([call for call in shell.calls if not call.endswith("--help")], [], line)
    yield from has(shell.fish("wslbarectl unmount "), ["data", "backup"], "unmount")


def in_shell(program, check):
    """CHECK with a shell of its own, where there is such a program."""
    def run():
        if not shutil.which(program):
            raise tap.Skip(f"{program} is not installed")
        with tempfile.TemporaryDirectory() as directory:
            yield from check(Shell(Path(directory)))
    return run


def main():
    cases = {"bash columns": check_bash_columns, "bash without a verb": check_bash_without_verb,
             "bash files": check_bash_files, "fish": check_fish}
    return tap.run({name: in_shell(name.split()[0], check) for name, check in cases.items()})


if __name__ == "__main__":
    sys.exit(main())
