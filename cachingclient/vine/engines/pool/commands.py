"""The commands that start a site's workers: the same for both libraries, but for their names and a few options."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dask.utils import parse_bytes
from distributed.system import MEMORY_LIMIT

from cachingclient.vine.engine import Needs
from cachingclient.vine.engines.pool.workers import Factory, LocalWorkers, Workers
from cachingclient.vine.sites import Site

MEGABYTE = 10**6


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

    Raises
    ------
    ValueError
        If the site's `how` is not known.
    """
    folder.mkdir(exist_ok=True)
    password = folder / "password"
    password.touch(0o600)
    password.write_text(address.password)
    environment = {**site.environment, "DASK_CACHINGCLIENT__SITE": site.name}
    mark = f"--feature=site={site.name}"
    common = [*_sizes(site), *options, "-P", str(password)]
    manager = [address.host, str(address.port)]
    if site.how == "local":
        return LocalWorkers(
            [*before, programs.worker, *common, mark, "-s", str(folder), "-b", "2", *manager], folder, environment
        )
    system = programs.systems.get(str(site.how))
    if system is None:
        ways = ", ".join(map(repr, ["local", *programs.systems]))
        raise ValueError(f"how of site {site.name} is {site.how!r}; with {programs.worker} it takes {ways}")
    variables = [f"--env={name}={value}" for name, value in environment.items()]
    told = [f"--{name}={value}" for name, value in site.options.items()]
    return Factory(
        [programs.factory, "-T", system, *common, "--parent-death", "-E", mark, *variables, *told, *manager],
        folder,
        environment,
    )


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
