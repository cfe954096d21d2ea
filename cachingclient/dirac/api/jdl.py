"""Job descriptions in JDL, in which no value can become anything else.

JDL as DIRAC reads it has no escapes: a quote ends a string, a semicolon an attribute even within quotes, blanks in
lists vanish, and ``%s``, ``%n`` and ``%j`` are replaced. So a value is written only if it has none of these, and
refused if not; free text, such as a command line, travels in the sandbox (`cachingclient.dirac.api.start_script`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

Value = str | int | Sequence[str]

# Characters without a meaning of their own to any reader of JDL.
WORD = re.compile(r"[A-Za-z0-9_./:@|*?+~-]+", re.ASCII)
NAME = re.compile(r"[A-Za-z][A-Za-z0-9]*", re.ASCII)
EACH = "%s"


def render(attributes: Mapping[str, Value], each: Sequence[str] = ()) -> str:
    """Write attributes as JDL; of several jobs if there is a word for each, which stands where `EACH` does.

    Empty values are left out.

    Raises
    ------
    ValueError
        A value can't be written safely.

    Examples
    --------
    >>> print(render({"Executable": "start.sh", "Site": ["LCG.RAL.uk", "LCG.Bristol.uk"], "CPUTime": 600, "Tags": []}))
    [
      Executable = "start.sh";
      Site = {"LCG.RAL.uk", "LCG.Bristol.uk"};
      CPUTime = 600;
    ]
    >>> render({"JobName": 'mine"; Site = "LCG.Elsewhere.uk'})
    Traceback (most recent call last):
    ...
    ValueError: JobName is 'mine"; Site = "LCG.Elsewhere.uk';
    it takes letters, digits and any of _ . / : @ | * ? + ~ - only
    """
    if each:
        attributes = {**attributes, "Parameters": [checked("each", word) for word in each]}
    lines = [
        f"  {_name(name)} = {_value(name, value)};" for name, value in attributes.items() if value not in ("", [], ())
    ]
    return "\n".join(["[", *lines, "]"])


def checked(what: str, word: object) -> str:
    """A word that means nothing to JDL but itself.

    Raises
    ------
    ValueError
        It is not such a word; the text names it.
    """
    if not isinstance(word, str) or not WORD.fullmatch(word):
        raise ValueError(f"{what} is {word!r}; it takes letters, digits and any of _ . / : @ | * ? + ~ - only")
    return word


def _name(name: str) -> str:
    if not NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of a JDL attribute: letters and digits only")
    return name


def _value(name: str, value: Value) -> str:
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, str):
        # The one place where a job's own word goes is the end.
        own = EACH if value.endswith(EACH) else ""
        text = value.removesuffix(EACH)
        return f'"{checked(name, text) if text or not own else ""}{own}"'
    return "{" + ", ".join(f'"{checked(name, word)}"' for word in value) + "}"
