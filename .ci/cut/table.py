#!/usr/bin/env python3
"""Prints the results of `.ci/power` as a table. Fails if a state of Freehold's store was not intact, or the states of the control were.

    table.py FOLDER_WITH_THE_JSON_FILES SEED
"""
import json
import sys
from pathlib import Path

folder, seed = Path(sys.argv[1]), sys.argv[2]
NAMES = {"sled": "Freehold over sled", "redb": "Freehold over redb", "bare-sled": "control: sled alone, its own flush",
       "synced-sled": "sled alone, its files synced after each flush"}
WRONG = ("lost", "partial", "did not open", "did not go on")
MODES = ("nothing", "prefix", "subset")

results = {kind: json.loads((folder / f"{kind}.json").read_text()) for kind in NAMES}
print(f"power cuts on real files, seed {seed}")
print(f"| program | acknowledged | writes, syncs, ranges | cuts | states | {' | '.join(WRONG)} |")
print("|---" * (5 + len(WRONG)) + "|")
wrong = {}
for kind, result in results.items():
    counts = [sum(result[mode].get(what, 0) for mode in MODES) for what in WRONG]
    wrong[kind] = sum(counts)
    calls = f"{result['writes']}, {result['syncs']}, {result['ranges']}"
    print(f"| {NAMES[kind]} | {result['acknowledged']} | {calls} | {result['cuts']} | {result['states']} | {' | '.join(map(str, counts))} |")

failures = [f"{NAMES[kind]}: {example}" for kind in ("sled", "redb") for example in results[kind]["examples"]]
if wrong["bare-sled"] * 2 <= results["bare-sled"]["states"]:
    failures.append("the control survived most cuts, so the check detects nothing")
for failure in failures:
    print(f"FAIL {failure}")
if failures:
    print(f"the recordings are in {folder}")
sys.exit(bool(failures))
