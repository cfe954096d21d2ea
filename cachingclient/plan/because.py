"""Why steps run, told: all of a plan, one step, or a word for each step name in a table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from fnmatch import fnmatchcase

from cachingclient import config
from cachingclient.graph import Key
from cachingclient.plan.explain import explain_entry
from cachingclient.plan.lookup import run_with_timeout
from cachingclient.plan.plan import Plan
from cachingclient.plan.reasons import Because, Reasons
from cachingclient.plan.report import RunReport
from cachingclient.plan.steps import Action
from cachingclient.storage import EntryInfo, Store


def learn_because(plan: Plan, store: Store) -> None:
    """Look up why the steps of a plan run, once: a table tells it. If the store does not answer, it does not."""
    runs = any(step.action is Action.RUN and step.step_key is not None for step in plan.steps.values())
    if not runs or plan.is_explained:
        return
    plan.is_explained = True
    try:
        plan.because = run_with_timeout(config.look_up_timeout(), lambda plan: Reasons(plan, store).by_name(), plan)
    except Exception:
        plan.because = {}


def explain(
    key: Key,
    plan: Plan | None,
    store: Store,
    reports: Iterable[RunReport] = (),
    find: Callable[[Iterable[str]], Mapping[str, EntryInfo]] = lambda keys: {},
) -> str:
    """Say why one step, or those of a name, ran or would run.

    Parameters
    ----------
    key
        The key of a step in the graph; with a plan also a name or a glob.
    plan
        A plan; None for a step of a graph that was sent.
    store
        Where to look.
    reports
        Of the graphs that were sent.
    find
        Finds entries.

    Raises
    ------
    ValueError
        If no step of that key or name is known.
    """
    if plan is not None and key not in plan.steps:
        if not any(fnmatchcase(step.name, str(key)) for step in plan.steps.values()):
            raise ValueError(f"what is {key!r}, which no step of the plan has as its key or name")
        return because(plan, store, str(key))
    plans = [plan] if plan is not None else [report.plan for report in reports if key in report.plan.steps]
    if not plans:
        raise ValueError(f"what is {key!r}, a key which none of this client's reports has")
    step = plans[-1].steps[key]
    if step.action is Action.RUN and (key in plans[-1].details or step.step_key is None):
        told = step.reason or Reasons(plans[-1], store).why(key)
        return told if step.reason or told.startswith(("no other", "nothing", "new:")) else f"missed because {told}"
    found = find([step.step_key]) if step.step_key is not None else {}
    if not found:
        return step.reason or "its result was not kept: ask before it runs, with plan=client.plan(...)"
    return explain_entry(next(iter(found.values())), store)


def because(plan: Plan, store: Store, glob: str = "*") -> str:
    """Say why the steps of a plan run: a line for each reason at the root, with the steps that have it and that follow.

    Parameters
    ----------
    plan
        The plan.
    store
        Where to look.
    glob
        Which steps, by their names.

    Examples
    --------
    >>> from cachingclient.storage import open_store
    >>> because(Plan({}, frozenset()), open_store("memory://because"))
    'no step runs'
    """
    reasons = Reasons(plan, store)
    own: dict[str, Counter[str]] = {}
    changed: dict[str, Because] = {}
    after: dict[str, Counter[str]] = {}
    roots = _roots(plan, reasons)
    for key, each in reasons.by_key.items():
        name = plan.steps[key].name
        if not fnmatchcase(name, glob):
            continue
        if each.text:
            own.setdefault(each.text, Counter())[name] += 1
            changed[each.text] = each
        for text in roots.get(key, ()) if not each.text else ():
            after.setdefault(text, Counter())[name] += 1
    lines: list[str] = []
    for text in {**own, **after}:
        root, names = changed.get(text, Because(text)), own.get(text, Counter())
        shown = root.shown if sum(names.values()) == 1 else ""
        lines.append(_line(text + shown, names, after.get(text, Counter())))
        lines += [f"    {line}" for line in root.lines]
    return "\n".join(lines) or "no step runs"


def _roots(plan: Plan, reasons: Reasons) -> dict[Key, frozenset[str]]:
    """Return for each step the reasons at its root; one pass, since a plan has what a step needs before it."""
    found: dict[Key, frozenset[str]] = {}
    for key, step in plan.steps.items():
        each = reasons.by_key.get(key)
        if each is not None and each.text:
            found[key] = frozenset((each.text,))
        elif each is not None or step.action in (Action.ALIAS, Action.DATA):
            found[key] = frozenset().union(*(found.get(one, frozenset()) for one in step.dependencies))
    return found


def _line(text: str, own: Mapping[str, int], after: Mapping[str, int]) -> str:
    told = f"{text}: {_counted(own)} {'run' if len(own) > 1 else 'runs'}" if own else text
    if not after:
        return told
    return f"{told}, and what follows: {_counted(after)}" if own else f"{told}: {_counted(after)} follows"


def _counted(names: Mapping[str, int]) -> str:
    shown = [f"{name}{f' ({count:,} steps)' if count > 1 else ''}" for name, count in names.items()]
    return ", ".join(shown[:8]) + (f" and {len(shown) - 8} more" if len(shown) > 8 else "")
