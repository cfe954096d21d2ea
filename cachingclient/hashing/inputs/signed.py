"""URLs that are signed or that expire: what of them names the file, and what only lets somebody read it.

A server that signs URLs gives another one to everybody and each time. What it puts into the query for that says nothing
of the file, and who has it may read the file: it enters no key, no message and nothing that is kept.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

_ALWAYS = re.compile(
    r"x-amz-(?!version)|x-goog-|x-ms-(?!version)|authz$|access_token$|xrd\.(?:wantprot|gsiusrpxy)$", re.IGNORECASE
)
"""Parameters that do nothing else: S3's and GCS's version 4, bearer tokens and macaroons of XRootD and dCache."""
_TOGETHER = (
    frozenset({"awsaccesskeyid", "signature", "expires"}),  # S3's version 2
    frozenset({"googleaccessid", "signature", "expires"}),  # GCS's
    frozenset({"key-pair-id", "signature"}),  # CloudFront's, with Expires or a Policy
    frozenset({"sig", "se", "sv"}),  # Azure's
)
_WITH_THEM = frozenset(
    [
        "signature",
        "expires",
        "policy",
        "awsaccesskeyid",
        "googleaccessid",
        "key-pair-id",
        "sig",
        "se",
        "sv",
        "st",
        "sp",
        "sr",
        "spr",
        "sip",
        "skoid",
        "sktid",
        "skt",
        "ske",
        "sks",
        "skv",
    ]
)
"""Names that mean nothing by themselves: only where all of one of the sets above are there."""


def unsigned(url: str) -> str:
    """Return a URL without what signs it or lets it expire, and without a password.

    Examples
    --------
    >>> unsigned("https://s3.cern.ch/ana/a.root?versionId=7&X-Amz-Date=20260101T000000Z&X-Amz-Signature=0f")
    'https://s3.cern.ch/ana/a.root?versionId=7'
    >>> unsigned("https://example.org/get?expires=2030&file=a.root")
    'https://example.org/get?expires=2030&file=a.root'
    """
    head, mark, query = url.partition("?")
    if "://" not in head:
        return url
    scheme, _, rest = head.partition("://")
    place, slash, path = rest.partition("/")
    head = f"{scheme}://{place.rpartition('@')[2] if ':' in place.rpartition('@')[0] else place}{slash}{path}"
    if not mark:
        return head
    query, hash_mark, fragment = query.partition("#")
    parts = query.split("&")
    names = {unquote(part.partition("=")[0]).lower() for part in parts}
    signs = _WITH_THEM if any(needed <= names for needed in _TOGETHER) else frozenset[str]()
    kept = [part for part in parts if not _is_of_signature(unquote(part.partition("=")[0]), signs)]
    return head + ("?" + "&".join(kept) if kept else "") + hash_mark + fragment


def _is_of_signature(name: str, signs: frozenset[str]) -> bool:
    return _ALWAYS.match(name) is not None or name.lower() in signs
