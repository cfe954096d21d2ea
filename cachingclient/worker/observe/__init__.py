"""What a step really reads and writes: recorded while it runs.

`observing` is what a step runs in; `record` says what is noted, `current` for whom, `callers` and `places` what counts.
What is seen comes from `audit` (Python's own events), `variables`, `generators` and `entropy` (random numbers), `doors`
(libraries in C and C++) and `cluster_state` (distributed).
"""

from cachingclient.worker.observe.current import unobserved
from cachingclient.worker.observe.describe import describe
from cachingclient.worker.observe.native_opens import Watch
from cachingclient.worker.observe.observing import install, observing
from cachingclient.worker.observe.places import ignore_folder, ignore_pattern
from cachingclient.worker.observe.record import Observed
from cachingclient.worker.observe.stamps import Stamp, Written, stamp

__all__ = [
    "observing",
    "unobserved",
    "ignore_folder",
    "ignore_pattern",
    "install",
    "describe",
    "Observed",
    "Watch",
    "Stamp",
    "Written",
    "stamp",
]
