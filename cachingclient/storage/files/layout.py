"""Where things lie in a store of files, and how a description there is read.

::

    v1/steps/ab/<key>         descriptions, with the result inside when it is small
    v1/blobs/ab/<digest>      results
    v1/quarantine/<name>      what turned out damaged
    v1/tmp/                   files being written or removed
    v1/pins/<key>             entries that eviction leaves
    v1/leases/<key>           steps that someone is running
    v1/uses/                  which entries were used, where files have no times
    v1/files/                 what was found out about input files by opening them
    v1/inventory/             what is known of descriptions in a local folder, for looking after them
"""

from __future__ import annotations

from cachingclient.storage.entry import DamagedEntryError, outline
from cachingclient.storage.model import EntryInfo
from cachingclient.storage.names import Digest, Key

STEPS = "v1/steps"
BLOBS = "v1/blobs"
QUARANTINE = "v1/quarantine"
TEMPORARY = "v1/tmp"
PINS = "v1/pins"
LEASES = "v1/leases"
USES = "v1/uses"
INVENTORY = "v1/inventory"


def step_name(key: str) -> str:
    """Where the description for a key lies. Raises ValueError for what is no key, as all these do."""
    key = Key(key)
    return f"{STEPS}/{key[:2]}/{key}"


def blob_name(digest: str) -> str:
    """Where the blob with a digest lies."""
    digest = Digest(digest)
    return f"{BLOBS}/{digest[:2]}/{digest}"


def pin_name(key: str) -> str:
    """Where the pin of an entry lies."""
    return f"{PINS}/{Key(key)}"


def lease_name(key: str) -> str:
    """Where the lease of a step lies."""
    return f"{LEASES}/{Key(key)}"


def blob_digest(name: str) -> str:
    """The digest that a blob is named by; nothing for a foreign file, which is left alone."""
    try:
        return Digest(name.rpartition("/")[2])
    except ValueError:
        return ""


def described(name: str, data: bytes, last_used: float = 0.0) -> EntryInfo | None:
    """Read a description for looking after it, without its payload; None for foreign and damaged files."""
    try:
        return outline(name.rpartition("/")[2], data, last_used)
    except DamagedEntryError:
        return None
