#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Checks a Promela model with spin, every state of it.

Without --finds the model must hold. With it spin must find an error of that kind: the model has a
defect planted. Safety is checked (assertions, and that nothing waits for ever), or with --progress
the model's `progress` formula, every process being served now and then (weak fairness).
"""

import argparse
import pathlib
import re
import subprocess
import sys
import tempfile

ERROR = re.compile(r"^pan:\d+: (.+?) \(at depth \d+\)", re.MULTILINE)
# A search that was cut short proves nothing.
CUT_SHORT = re.compile(r"search not completed|max search depth too small|out of memory", re.I)


def run(command, folder):
    done = subprocess.run(command, cwd=folder, text=True, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode != 0 and command[0] != "./pan":
        sys.exit(f"{' '.join(command)} failed:\n{done.stdout}")
    return done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spin", default="spin")
    parser.add_argument("--cc", default="cc")
    parser.add_argument("--progress", action="store_true")
    parser.add_argument("--finds", metavar="ERROR", help="the start of what spin must say")
    parser.add_argument("-D", dest="define", action="append", default=[])
    parser.add_argument("model", type=pathlib.Path)
    args = parser.parse_args()
    defines = ["-D" + name for name in args.define]
    model = args.model.resolve()
    for name in args.define:
        if name.startswith("PLANT_") and name not in model.read_text():
            sys.exit(f"{model.name} knows no {name}")

    with tempfile.TemporaryDirectory() as folder:
        run([args.spin, "-a", *defines, str(model)], folder)
        # One defect is found so early that compiling well is not worth it.
        level = "-O0" if args.finds else "-O1"
        kind = ["-DNFAIR=3"] if args.progress else ["-DSAFETY", "-DNOCLAIM"]
        run([args.cc, level, "-w", *kind, "-o", "pan", "pan.c"], folder)
        search = ["-a", "-f"] if args.progress else []
        text = run(["./pan", "-m200000", "-w18" if args.finds else "-w22", *search], folder)
        found = ERROR.search(text)
        if args.finds:
            if found and found[1].startswith(args.finds):
                print("found as it must be:", found[0])
                return
            sys.exit(f"{model.name} {defines}: expected {args.finds!r}, but pan said:\n{text}")
        print(text)
        if found:
            print(run([args.spin, "-t", "-p", "-g", *defines, str(model)], folder)
                  if (pathlib.Path(folder) / (model.name + ".trail")).exists() else "no trail")
        if found or "errors: 0" not in text or CUT_SHORT.search(text):
            sys.exit(f"{model.name} {defines}: does not hold, or was not searched to the end")


if __name__ == "__main__":
    main()
