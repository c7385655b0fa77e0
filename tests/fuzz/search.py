#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Searches with libFuzzer for inputs that the targets do not bear.

search.py [options] BUILDDIR MINUTES [PATTERN]

Each target whose name has PATTERN (a regular expression) is run for MINUTES, as many at once as there are processors. What
was found to lead to new places is kept in BUILDDIR/corpus and used the next time; what ends a target is kept in
BUILDDIR/findings, belongs into tests/fuzz/corpus with the fix, and can be run by itself: fuzz-NAME FILE.
"""

import argparse
import concurrent.futures
import json
import os
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]

SIZE_MAX = 8192  # of an input; more teaches nothing new
SECONDS_MAX = 20  # for one input
LAST_LINES = 40


class Target:
    def __init__(self, build, path):
        self.path = path
        self.name = path.name.removeprefix("fuzz-")
        self.log = build / "log" / f"{self.name}.log"
        self.corpus = build / "corpus" / self.name
        self.findings = build / "findings"
        self.profile = build / "profile" / f"{self.name}.profraw"
        self.seeds = [path for path in (HERE / "corpus" / self.name, build / "seeds" / self.name) if path.is_dir()]
        for directory in self.log.parent, self.corpus, self.findings, self.profile.parent:
            directory.mkdir(parents=True, exist_ok=True)

    def run(self, *options, profile=os.devnull):
        environment = {**os.environ, "LLVM_PROFILE_FILE": str(profile), "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}
        # Whatever happens to this process, it goes too.
        command = ["setpriv", "--pdeathsig", "KILL", self.path, f"-timeout={SECONDS_MAX}", f"-max_len={SIZE_MAX}", *options, self.corpus, *self.seeds]
        return subprocess.run(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="backslashreplace")

    def search(self, seconds):
        result = self.run(f"-max_total_time={seconds}", "-print_final_stats=1",
                          f"-artifact_prefix={self.findings}/{self.name}-")
        self.log.write_text(result.stdout)
        self.good = result.returncode == 0
        found = re.search(r"^stat::number_of_executed_units:\s*(\d+)", result.stdout, re.M)
        self.executions = int(found[1]) if found else 0

    def measure(self):
        """Runs all that is in the corpus once more, and counts."""
        self.run("-runs=0", profile=self.profile)


def tool(name):
    """One of LLVM's, of clang's own version; None when it is not installed."""
    out = subprocess.run(["clang", f"--print-prog-name={name}"], capture_output=True, text=True).stdout.strip()
    return out if os.path.isabs(out) else None


def coverage(targets, directory):
    """file of lib/ → (lines that were run, lines), of all these targets together; None where it cannot be known."""
    profdata, cov = tool("llvm-profdata"), tool("llvm-cov")
    profiles = [target.profile for target in targets if target.profile.exists()]
    if not profdata or not cov or not profiles:
        return None
    merged = directory / "merged.profdata"
    subprocess.run([profdata, "merge", "-o", merged, *profiles], check=True)
    objects = [word for target in targets[1:] for word in ("-object", target.path)]
    out = subprocess.run([cov, "export", "-summary-only", f"-instr-profile={merged}", targets[0].path, *objects],
                         check=True, capture_output=True).stdout
    found = {}
    for entry in json.loads(out)["data"][0]["files"]:
        path = Path(os.path.normpath(entry["filename"]))
        if path.parent == ROOT / "lib" and path.suffix == ".c":
            lines = entry["summary"]["lines"]
            found[path.name] = lines["covered"], lines["count"]
    return found


def percent(counts):
    run, lines = (sum(column) for column in zip(*counts)) if counts else (0, 0)
    return f"{run} of {lines} lines of lib/ ({100 * run // lines if lines else 0}%)"


def report(target):
    print(f"{target.name}: {target.executions} executions, {len(list(target.corpus.iterdir()))} inputs kept"
          f"{'' if target.good else ', a finding'}", flush=True)
    if not target.good:
        for line in target.log.read_text().splitlines()[-LAST_LINES:]:
            print(f"    {line}")


def main():
    parser = argparse.ArgumentParser(usage=__doc__)
    parser.add_argument("--counts", type=Path, help="append how many passed, failed and were skipped")
    parser.add_argument("build", type=Path)
    parser.add_argument("minutes", type=float)
    parser.add_argument("pattern", nargs="?", default="")
    options = parser.parse_args()

    paths = sorted(options.build.glob("tests/fuzz/fuzz-*"))
    targets = [Target(options.build, path) for path in paths
               if path.is_file() and re.search(options.pattern, path.name)]
    if not targets:
        sys.exit(f"search.py: no target has '{options.pattern}' in its name")
    seconds = max(1, round(options.minutes * 60))  # 0 would be for ever
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = {pool.submit(target.search, seconds): target for target in targets}
        for job in concurrent.futures.as_completed(jobs):
            job.result()
            report(jobs[job])
        list(pool.map(Target.measure, targets))
    found = coverage(targets, options.build / "profile")
    if found is None:
        print("coverage: llvm-profdata and llvm-cov are not installed")
    else:
        for name, counts in sorted(found.items()):
            print(f"    {name}: {counts[0]} of {counts[1]}")
        print(f"coverage: {percent(found.values())}")
    good = sum(target.good for target in targets)
    if options.counts:
        with open(options.counts, "a") as f:
            print(good, len(targets) - good, 0, file=f)
    return 0 if good == len(targets) else 1


if __name__ == "__main__":
    sys.exit(main())
