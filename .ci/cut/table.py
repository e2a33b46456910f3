#!/usr/bin/env python3
"""Prints what `.ci/power` saw as a table, and fails if a state of ours was not whole or the control was.

    table.py FOLDER_WITH_THE_JSON_FILES SEED
"""
import json
import sys
from pathlib import Path

folder, seed = Path(sys.argv[1]), sys.argv[2]
WHO = {"sled": "Freehold over sled", "redb": "Freehold over redb", "bare-sled": "control: sled alone, its own flush",
       "synced-sled": "sled alone, its files synced after each flush"}
WRONG = ("lost", "partial", "did not open", "did not go on")
MODES = ("nothing", "prefix", "subset")

seen = {kind: json.loads((folder / f"{kind}.json").read_text()) for kind in WHO}
print(f"power cuts on real files, seed {seed}")
print(f"| who | acknowledged | writes, syncs, ranges | cuts | states | {' | '.join(WRONG)} |")
print("|---" * (5 + len(WRONG)) + "|")
wrong = {}
for kind, result in seen.items():
    counts = [sum(result[mode].get(what, 0) for mode in MODES) for what in WRONG]
    wrong[kind] = sum(counts)
    calls = f"{result['writes']}, {result['syncs']}, {result['ranges']}"
    print(f"| {WHO[kind]} | {result['acknowledged']} | {calls} | {result['cuts']} | {result['states']} | {' | '.join(map(str, counts))} |")

failures = [f"{WHO[kind]}: {example}" for kind in ("sled", "redb") for example in seen[kind]["examples"]]
if wrong["bare-sled"] * 2 <= seen["bare-sled"]["states"]:
    failures.append("the control came through most cuts, so this check sees nothing")
for failure in failures:
    print(f"FAIL {failure}")
if failures:
    print(f"the recordings are kept in {folder}")
sys.exit(bool(failures))
