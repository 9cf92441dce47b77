"""What searches cost in stores of several sizes.

    python -m loadtests.scale --instances 1000,10000,100000,1000000 --out /tmp/scale
    python -m loadtests.scale --instances 1000000 --only OHIF --out /tmp/scale

Stores are made below OUT/stores when they are not there yet, and kept: a million instances take four minutes and 6 GB. Beside them
come figures.json, table.md and cost.svg.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import orjson

from loadtests.scale.measure import Effort, measured
from loadtests.scale.report import plot, table


def _tell(text: str) -> None:
    sys.stderr.write(f"\r\33[K{text}")
    sys.stderr.flush()


def main() -> None:
    """Measures, and writes what was found."""
    parser = argparse.ArgumentParser(description="What searches cost in stores of several sizes.")
    parser.add_argument("--instances", default="1000,10000,100000,1000000", help="sizes, with commas between")
    parser.add_argument("--out", type=Path, required=True, help="folder on a real disk")
    parser.add_argument("--only", default="", help="a part of the names of searches that are measured")
    parser.add_argument("--requests", type=int, default=Effort.requests, help="of each search and number of clients")
    parser.add_argument("--stored", type=int, default=Effort.stored, help="instances that are stored at each size, and deleted again")
    parser.add_argument("--settled", type=int, default=Effort.settled, help="requests behind which memory is looked at once more")
    parser.add_argument("--cpus", default="0,1", help="of the gateway, and of its clients")
    chosen = parser.parse_args()
    front, back = map(int, chosen.cpus.split(","))
    effort = Effort(chosen.requests, chosen.stored, chosen.settled, cpus=(front, back))
    results = []
    for size in map(int, chosen.instances.split(",")):
        results.append(measured(chosen.out / "stores", size, effort, _tell, chosen.only))
        (chosen.out / "figures.json").write_bytes(orjson.dumps([one.as_json() for one in results], option=orjson.OPT_NON_STR_KEYS))
    text = table(results)
    (chosen.out / "table.md").write_text(text)
    sys.stdout.write(f"\n{text}")
    plot(results, chosen.out / "cost.svg")


if __name__ == "__main__":
    main()
