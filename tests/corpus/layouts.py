"""Changes of a program's layout that must leave every key as it is."""

from __future__ import annotations

import ast
import io
import random
import tokenize
from collections.abc import Callable

Laid = tuple[str | ast.Module, str]


def commented(source: str, chance: random.Random) -> Laid:
    """Put comments and blank lines between statements and behind them."""
    lines = []
    for line in source.splitlines():
        if line and not line.startswith((" ", "@")) and chance.random() < 0.5 and not _follows_decorator(lines):
            lines += ["", "# A comment."] * chance.randint(1, 3)
        lines.append(line + ("  # why" if chance.random() < 0.3 else ""))
    return "\n".join(lines) + "\n", "mutated"


def _follows_decorator(lines: list[str]) -> bool:
    return bool(lines) and lines[-1].startswith("@")


def reformatted(source: str, chance: random.Random) -> Laid:
    """Write it as the interpreter would."""
    return ast.unparse(ast.parse(source)), "mutated"


def broken_over_lines(source: str, chance: random.Random) -> Laid:
    """Break lines within brackets."""
    out: list[str] = []
    depth, row, column = 0, 1, 0
    in_text = 0
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type in (tokenize.DEDENT, tokenize.ENDMARKER):
            continue
        if token.start[0] > row:
            row, column = token.start[0], 0
        gap = " " * (token.start[1] - column)
        column = token.end[1]
        name = tokenize.tok_name[token.type]
        in_text += (name == "FSTRING_START") - (name == "FSTRING_END")
        if token.type in (tokenize.NEWLINE, tokenize.NL):
            out.append("\n")
            continue
        out.append(token.string if token.type == tokenize.INDENT else gap + token.string)
        if token.type == tokenize.INDENT:
            column = token.end[1]
        if token.type == tokenize.OP and not in_text:
            depth += (token.string in "([{") - (token.string in ")]}")
            if depth and token.string in "([{," and chance.random() < 0.7:
                out.append("\n" + " " * chance.randint(0, 9))
    return "".join(out), "mutated"


def on_other_lines(source: str, chance: random.Random) -> Laid:
    """Say of each part that it stood on another line, as any formatting could have it."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if hasattr(node, "lineno"):
            node.lineno = node.end_lineno = chance.randint(1, 40)
            node.col_offset = node.end_col_offset = 0
    return tree, "mutated"


def documented(source: str, chance: random.Random) -> Laid:
    """Give functions and classes other docstrings, or none."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            if ast.get_docstring(node) is not None:
                node.body.pop(0)
            if not node.body or chance.random() < 0.5:
                node.body.insert(0, ast.Expr(ast.Constant("Another docstring.")))
    return ast.unparse(ast.fix_missing_locations(tree)), "mutated"


def reordered(source: str, chance: random.Random) -> Laid:
    """Move functions without decorators to the front, in another order: nothing runs between them."""
    tree = ast.parse(source)
    plain = [s for s in tree.body if isinstance(s, ast.FunctionDef) and not s.decorator_list and not s.args.defaults]
    rest = [s for s in tree.body if s not in plain]
    chance.shuffle(plain)
    tree.body = [*plain, *rest]
    return ast.unparse(tree), "mutated"


def methods_reordered(source: str, chance: random.Random) -> Laid:
    """Put the methods of each class in another order."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef):
            methods = [s for s in node.body if isinstance(s, ast.FunctionDef)]
            rest = [s for s in node.body if s not in methods]
            chance.shuffle(methods)
            node.body = [*rest, *methods]
    return ast.unparse(tree), "mutated"


def parenthesised(source: str, chance: random.Random) -> Laid:
    """Return values in brackets that change nothing."""
    lines = []
    for line in source.splitlines():
        before, found, value = line.partition("return ")
        plain = found and not before.strip() and ":" not in value.split("'")[0].split(",")[0]
        lines.append(f"{before}return (({value}))" if plain and ":=" not in value else line)
    return "\n".join(lines) + "\n", "mutated"


def elsewhere(source: str, chance: random.Random) -> Laid:
    """Run it as a script or another module."""
    return source, chance.choice(["__main__", "another_module", "package.module"])


def accompanied(source: str, chance: random.Random) -> Laid:
    """Add what nothing uses."""
    extra = "import json\nUNUSED = 42\n\n\ndef unused(y):\n    return json.dumps(y)\n\n\nclass Unused:\n    pass\n\n\n"
    return (extra + source if chance.random() < 0.5 else source + extra), "mutated"


LAYOUTS: dict[str, Callable[[str, random.Random], Laid]] = {
    function.__name__.replace("_", " "): function
    for function in (
        commented, reformatted, broken_over_lines, on_other_lines, documented, reordered, methods_reordered,
        parenthesised, elsewhere, accompanied,
    )
}  # fmt: skip
