"""The table of the attacks by kind and level, as docs/trust.md has it: ``python -m tests.trust.table``."""

from __future__ import annotations

from tests.trust.client import LEVELS, crafts_of, runs_code
from tests.trust.crafting import CRAFTS
from tests.trust.payloads import PAYLOADS

KINDS = {
    "digests and keys that are paths": ("digest is", "key is"),
    "folders and files that are links": ("folder is", "description is a link", "blob is a link", "lease_is_a_link"),
    "pipes, sockets, folders for files": ("description_is_a", "blob_is_a_pipe", "lease_is_a_pipe", "folders_are"),
    "files that claim gigabytes": (
        "description_is_sparse", "blob_is_sparse", "blob_is_larger", "uses_", "lease_is_sparse"),
    "pins, inventories": ("pins_", "inventory"),
    "fields of descriptions": ("field-",),
    "details that other rooms know": ("detail-",),
    "traces, and what they name": ("trace-",),
    "descriptions that are no JSON, deep or huge": ("body-", "line-"),
    "pickles that are denied": ("description_denies", "pickle_"),
    "arrays: types, shapes, frames": (
        "array ", "shape ", "scalar ", "dtype ", "frame", "mask", "truths", "characters"),
    "awkward arrays": ("awkward", "behavior"),
    "tables": ("arrow", "pandas", "table"),
    "histograms": ("histogram", "axis"),
    "containers, heads and trees": ("containers", "tuples", "one_frame", "head", "tree"),
}  # fmt: skip
"""How the names of the crafts of each kind begin."""


def kind_of(craft: str) -> str:
    """Return the kind of a craft."""
    return max((len(start), kind) for kind, starts in KINDS.items() for start in starts if craft.startswith(start))[1]


def table() -> list[str]:
    """Return the rows: for each level, how many stores and payloads there were, and how many steps of clients."""
    rows = [
        f"| kind | {' | '.join(f'`{level}`' if level in ('all', 'data', 'signed') else level for level in LEVELS)} |"
    ]
    rows.append("|---" * (len(LEVELS) + 1) + "|")
    for kind in KINDS:
        cells = []
        for level in LEVELS:
            stores = sum(kind_of(name) == kind for name in CRAFTS if not runs_code(name, level))
            stores += sum(kind_of(name) == kind for name in PAYLOADS) if level == "data" else 0
            steps = 2 * sum(kind_of(name) == kind for name in crafts_of(level))
            cells.append(f"{stores} + {steps}" if stores or steps else "-")
        rows.append(f"| {kind} | {' | '.join(cells)} |")
    return rows


if __name__ == "__main__":
    print("\n".join(table()))
