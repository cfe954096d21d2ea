"""Kill workers and clients in each phase of a write, and print the counts.

::

    python -m tests.faults --count 200                 # on a local folder
    python -m tests.faults --store s3 --count 40       # on a server that is started for it; also root, rucio
"""

from __future__ import annotations

import argparse
import warnings

from tests.faults.kills import kill
from tests.faults.traps import TRAPS


def main() -> None:
    """Kill, judge, and print the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200, help="of processes to kill, half of them workers")
    parser.add_argument("--store", choices=[*TRAPS], default="file")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    workers = arguments.count // 2
    judge = kill(arguments.store, arguments.count - workers, workers)
    for phase, times in sorted(judge.kills.items()):
        print(f"{times:4}  {phase}")
    print(f"{judge.kills.total():4}  killed; {judge.told} results reported kept, all of them there and right")


if __name__ == "__main__":
    main()
