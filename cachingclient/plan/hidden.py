"""Arguments in descriptions: numbers as they are, texts where only we read them, secrets never.

Descriptions hold short arguments so that an explanation can say which one changed. What is hidden is there as its
digest, by which a change is still seen; of a secret not even that.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from cachingclient.hashing.digest import digest
from cachingclient.hashing.identity import Identity
from cachingclient.hashing.keys import CONTAINER, Code
from cachingclient.hashing.scalars import literal

HIDDEN = b"#"
SECRET = HIDDEN.hex()
VALUE = b"V".hex()
"""How the encoding of an argument begins that is known by its digest."""
MOST_BOUND = 64
"""A fused task with more arguments inside does without them in its description."""
_NUMBERS = b"idNtf"  # how encodings of numbers, None and truth values begin
_OF_STEPS = b"^T" + CONTAINER  # how those begin that are keys of steps
says_secret = re.compile("pass(word|wd|phrase)?$|token|secret|credential|auth|cookie|(^|_)key$|api_?key", re.I).search

_holds_secret = re.compile(rb"s.*(://[^/@\s:]*:[^/@\s]+@|-----BEGIN [A-Z ]*PRIVATE KEY)", re.S).match


def for_description(parts: Iterable[bytes], *, private: bool, names: bool = True) -> Iterator[str]:
    """Yield the encodings of a step's arguments, as its description has them.

    Parameters
    ----------
    parts
        Encodings; before that of a keyword argument its name, after a ``=``.
    private
        Whether nobody else can write to the store; where others can, they are taken to read there too.
    names
        Whether the names are wanted as well.

    Examples
    --------
    >>> list(for_description([b"=password", b"shunter2", b"=bins", b"i2"], private=True))
    ['3d70617373776f7264', '23', '3d62696e73', '6932']
    >>> list(for_description([b"shttps://ada:hunter2@host/a.root"], private=True))
    ['23']
    """
    name = ""
    for part in parts:
        if part.startswith(b"="):
            name = part[1:].decode("utf-8", "replace")
            if names:
                yield part.hex()
            continue
        secret, name = bool(says_secret(name)) or bool(_holds_secret(part)), ""
        yield SECRET if secret else part.hex() if private else _covered(part).hex()


def ingredients_for_description(ingredients: Mapping[str, str], *, private: bool) -> dict[str, str]:
    """Return the ingredients of a function as its note has them: values of variables as those of arguments.

    Examples
    --------
    >>> ingredients_for_description({"variable cuts:API_KEY": "=7331"}, private=True)
    {'variable cuts:API_KEY': '=23'}
    >>> ingredients_for_description({"variable cuts:CONFIG['password']": "=7331"}, private=True)
    {"variable cuts:CONFIG['password']": '=23'}
    """
    told = {}
    for label, value in ingredients.items():
        digest_alone, _, text = value.partition(" ")
        name = _name_of(label)
        if text and (not private or says_secret(name) or holds_secret(text)):
            value = digest_alone
        if value.startswith("="):
            (shown,) = for_description([b"=" + name.encode(), bytes.fromhex(value[1:])], private=private, names=False)
            value = f"={shown}"
        told[label] = value
    return told


def _name_of(label: str) -> str:
    """Return what an ingredient is called; of a part of a variable the name on the way to it that says most.

    Examples
    --------
    >>> _name_of("variable cuts:CONFIG['password']['user']"), _name_of("variable cuts:BINS")
    ('password', 'BINS')
    """
    whose, colon, taken = label.partition(":")
    if not colon:
        head, bracket, rest = whose.partition("[")
        taken = re.split("[ .]", head)[-1] + bracket + rest
    names = re.findall(r"\w+", taken)
    return next(filter(says_secret, names), re.split("[ :.]", label)[-1])


def holds_secret(text: str) -> bool:
    """Whether a value as Python writes it has a key that names a secret, a URL with a password or a private key in it.

    Examples
    --------
    >>> holds_secret("{'api_key': 'x'}"), holds_secret("['pt', 'eta']")
    (True, False)
    >>> holds_secret("['https://ada:hunter2@host/a.root']")
    True
    """
    named = any(map(says_secret, re.findall(r"['\"]([^'\"]+)['\"]", text)))
    return named or bool(_holds_secret(b"s" + text.encode("utf-8", "replace")))


def shown_values(looked_at: Iterable[tuple[object, Identity | str]], arguments: Iterable[str]) -> dict[str, str]:
    """Return how Python writes those arguments that are known by their digest, if they are small, by the digest.

    Parameters
    ----------
    looked_at
        Values, each with its identity.
    arguments
        The encodings of the arguments, in hexadecimal; those that are hidden are none of them.

    Examples
    --------
    >>> shown_values([([1, 2], Identity("0f" * 16))], [VALUE + "0f" * 16])
    {'0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f0f': '[1, 2]'}
    """
    wanted = {each.removeprefix(VALUE) for each in arguments if each.startswith(VALUE)}
    shown = {}
    for value, identity in looked_at if wanted else ():
        if isinstance(identity, Identity) and identity.digest in wanted:
            text = literal(value)
            if text and not holds_secret(text):
                shown[identity.digest] = text
    return shown


def details_of_code(code: Code, *, private: bool) -> dict[str, list[str]]:
    """Return what a description says of a step's code beside its digest: what that is made of, if it is several."""
    noted = list(code.noted)
    details = {"functions": noted} if noted != [code.digest.hex()] else {}
    if code.bound and len(code.bound) <= MOST_BOUND:
        details["bound"] = list(for_description(code.bound, private=private))
    return details


def is_same(one: str, other: str) -> bool:
    """Whether two encodings in descriptions are of the same argument, as far as one can tell.

    Examples
    --------
    >>> shown, = for_description([b"smuon"], private=True)
    >>> hidden, = for_description([b"smuon"], private=False)
    >>> shown == hidden, is_same(shown, hidden), is_same(hidden, b"selectron".hex())
    (False, True, False)
    """
    return SECRET in (one, other) or covered(one) == covered(other)


def covered(encoding: str) -> str:
    """Return an encoding of a description without what could be read."""
    return _covered(bytes.fromhex(encoding)).hex()


def _covered(part: bytes) -> bytes:
    """The digest of an encoding that could be read; others as they are."""
    if part[:1] in HIDDEN + _NUMBERS + _OF_STEPS:
        return part
    return HIDDEN + digest(part)
