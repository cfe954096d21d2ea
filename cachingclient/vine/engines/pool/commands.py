"""The commands that start a site's workers: the same for both libraries, but for their names and a few options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dask.utils import parse_bytes
from distributed.system import MEMORY_LIMIT

from cachingclient.environments.environment import ENTER, Environment
from cachingclient.vine.engine import Needs
from cachingclient.vine.engines.pool.workers import Factory, LocalWorkers, Workers
from cachingclient.vine.sites import Site
from cachingclient.worker.nanny import KEEP_MEMORY

MEGABYTE = 10**6
RUNNING = ("python3", "-m", "cachingclient.environments.run")
"""What runs a program as it is."""


@dataclass(frozen=True, slots=True)
class Programs:
    """The names of a library's programs.

    Attributes
    ----------
    worker, factory
        The programs.
    systems
        The factory's names of the systems of `Site.how`.
    """

    worker: str
    factory: str
    systems: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class ManagerAddress:
    """The manager's host and port, and the password that workers show."""

    host: str
    port: int
    password: str


def make_workers(
    programs: Programs,
    site: Site,
    folder: Path,
    address: ManagerAddress,
    options: Sequence[str],
    before: Sequence[str] = (),
    environment: Environment | None = None,
) -> Workers:
    """Return what starts a site's workers.

    Parameters
    ----------
    programs
        The library's.
    site
        The site.
    folder
        Where they run.
    address
        The manager's.
    options
        Other options of workers and factories.
    before
        The words of a command that runs a worker on this machine.
    environment
        The packed environment that workers, and so tasks, run in.

    Raises
    ------
    ValueError
        If the site's `how` is not known.
    """
    folder.mkdir(exist_ok=True)
    password = folder / "password"
    password.touch(0o600)
    password.write_text(address.password)
    variables = {**KEEP_MEMORY, **site.environment, "DASK_CACHINGCLIENT__SITE": site.name}
    mark = f"--feature=site={site.name}"
    common = [*_sizes(site), *options, "-P", str(password)]
    manager = [address.host, str(address.port)]
    if site.how == "local":
        runs = [*before] if environment is None else _entering(environment, folder, before)
        return LocalWorkers(
            [*runs, programs.worker, *common, mark, "-s", str(folder), "-b", "2", *manager], folder, variables
        )
    system = programs.systems.get(str(site.how))
    if system is None:
        ways = ", ".join(map(repr, ["local", *programs.systems]))
        raise ValueError(f"how of site {site.name} is {site.how!r}; with {programs.worker} it takes {ways}")
    if environment is not None:
        raise ValueError(f"environment: site {site.name} is started by {programs.factory}, whose workers take none")
    named = [f"--env={name}={value}" for name, value in variables.items()]
    told = [f"--{name}={value}" for name, value in site.options.items()]
    return Factory(
        [programs.factory, "-T", system, *common, "--parent-death", "-E", mark, *named, *told, *manager],
        folder,
        variables,
    )


def _program(environment: Environment, folder: Path) -> Path:
    """Write the program that enters an environment."""
    if environment.packed is None:
        raise ValueError("environment: engines with a pool take a packed one, such as Environment.auto() makes")
    path = folder / "enter.sh"
    path.write_text(ENTER)
    return path


def _entering(environment: Environment, folder: Path, before: Sequence[str]) -> list[str]:
    """Return the words of a command that runs a worker on this machine in an environment."""
    program = _program(environment, folder)
    _, *module = before or RUNNING
    return ["sh", str(program), *environment.entered_from(environment.place), *module]


def _sizes(site: Site) -> list[str]:
    sizes = [f"--cores={site.nthreads}", f"--gpus={site.gpus}"]
    return sizes if _unlimited(site) else [*sizes, f"--memory={memory_of(site) // MEGABYTE}"]


def memory_of(site: Site) -> int:
    """Return the bytes that one worker of a site may use: the machine's, unless the site says less.

    Examples
    --------
    >>> memory_of(Site("RAL", memory_limit="1 GiB"))
    1073741824
    """
    limit = site.memory_limit
    return MEMORY_LIMIT if limit is None or _unlimited(site) else parse_bytes(limit)


def check_fits(needs: Needs, sites: Sequence[Site]) -> None:
    """Refuse a task that asks for more than any worker of the sites has.

    Raises
    ------
    ValueError
        If it does.
    """
    for what, asked, most in (
        ("cores", needs.cores, max(site.nthreads for site in sites)),
        ("GPUs", needs.gpus, max(site.gpus for site in sites)),
        ("bytes of memory", needs.memory, max(memory_of(site) for site in sites)),
    ):
        if asked > most:
            where = f"site {needs.site}" if needs.site is not None else "any site"
            raise ValueError(f"a task asks for {asked} {what}; no worker of {where} has more than {most}")


def _unlimited(site: Site) -> bool:
    return site.memory_limit in (None, 0, "auto")
