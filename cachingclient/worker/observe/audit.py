"""What Python itself tells of what it opens, writes, starts and connects to: the interpreter's audit events."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from cachingclient.hashing.environment.environment import is_user_code
from cachingclient.worker.observe import connections, current, frames, open_folders, places
from cachingclient.worker.observe.callers import (
    asked_by_user,
    callers,
    is_imported_library,
    is_within_users,
    who_calls,
)
from cachingclient.worker.observe.current import Observers, mine, observers
from cachingclient.worker.observe.open_folders import from_folder, from_where_it_is_opened, who_opens
from cachingclient.worker.observe.patterns import wanted_names
from cachingclient.worker.observe.record import Observed

_ENTROPY = ("/dev/urandom", "/dev/random", "/dev/hwrng", "/proc/sys/kernel/random/uuid")
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
_STANDARD = os.path.dirname(os.__file__)
_REMOVERS = os.path.join(_STANDARD, "shutil.py")
_SUBPROCESS = os.path.join(_STANDARD, "subprocess.py")
_ASK_THE_SYSTEM = tuple(os.path.join(_STANDARD, name) for name in ("platform.py", "uuid.py", "ctypes/util.py"))
Handler = Callable[[Observers, tuple[Any, ...], FrameType], None]
imported_at: dict[str, float] = {}
"""When this process began to import modules, of those that it imported since it listens."""
_installed = False


def install() -> None:
    """Listen to audit events from now on; a hook can't be taken away again."""
    global _installed
    if not _installed:
        _installed = True
        open_folders.install()
        sys.addaudithook(_hook)


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if event == "import":
        imported_at[args[0]] = time.time()
        return
    handle = HANDLERS.get(event)
    if handle is not None:
        if observers():  # before a frame is asked for, which is an event as well
            tell(handle, args, who_opens(who_calls()))
    elif event in LISTENERS:
        LISTENERS[event](*args)


def tell(handle: Handler, args: tuple[Any, ...], frame: FrameType) -> None:
    """Let something be noted for the steps that it counts for; never raises. What noting it does counts for none."""
    if not (found := observers()):
        return
    token = mine.set(None)
    try:
        handle(found, args, frame)
    except Exception as error:  # of the recorder: the user's step goes on
        for seen in found:
            seen.give_reason(f"{handle.__name__.strip('_')} could not be recorded: {type(error).__name__}: {error}")
    finally:
        mine.reset(token)


def note_path(found: Observers, path: object, frame: FrameType | None, note: Callable[[Observed, str], None]) -> None:
    """Note something about a path for the steps that it counts for."""
    if (resolved := places.resolve(path)) is None:
        return
    full, relative = resolved
    if places.is_ignored(full) or (frame is not None and places.is_of_library(full, frame)):
        return
    hidden = False
    for seen in reversed(found):  # what a step inside leaves out counts for none around it
        hidden = bool(hidden and found is not current.running) or places.matches(full, seen.unobserved)
        if not hidden:
            seen.used_cwd = seen.used_cwd or relative or _may_be_made_absolute(full, seen.asked_folder)
            note(seen, full)


def _may_be_made_absolute(path: str, folder: str) -> bool:
    """Whether a path may have been relative until a library put the working folder before it."""
    return bool(folder) and f"{path}{os.sep}".startswith(folder)


def _open(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    path, mode, flags = args
    if type(path) is int:
        return
    path = from_where_it_is_opened(path)
    if mode is None and frame.f_code.co_filename == _REMOVERS:
        return  # relative to a folder that the event does not tell
    if (name := os.fsdecode(path)) in ("/dev/stdin", "/dev/tty"):
        _give_reason(found, f"{name} can't be read again")
    if name in _ENTROPY and asked_by_user(frame):
        for seen in found:
            seen.drew.add(name)
    if not flags & _WRITES:
        note_path(found, path, frame, Observed.read)
        return
    if flags & os.O_ACCMODE == os.O_RDWR and not flags & (os.O_TRUNC | os.O_EXCL | os.O_APPEND):
        note_path(found, path, frame, _read_to_change)
    how = "appended" if flags & os.O_APPEND else "changed"
    note_path(found, path, frame, lambda seen, full: seen.wrote(full, how))


def _read_to_change(seen: Observed, path: str) -> None:
    if path in seen.writes or os.path.lexists(path):
        seen.read(path)


def _list(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    path = "." if args[0] is None else from_folder("", args[0]) if type(args[0]) is int else args[0]
    if frame.f_code.co_filename != _REMOVERS:
        wanted = wanted_names(frame)
        note_path(found, path, frame, lambda seen, full: seen.listed(full, wanted))


def _remove(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    note_path(found, from_folder(args[0], args[1]), frame, lambda seen, full: seen.wrote(full, "removed"))


def _rename(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    source = places.resolve(from_folder(args[0], args[2]))
    target = places.resolve(from_folder(args[1], args[3]))
    if source is None or target is None:
        return
    if places.is_ignored(target[0]):
        note_path(found, source[0], frame, lambda seen, full: seen.wrote(full, "removed"))
    elif not places.is_of_library(target[0], frame):
        note_path(found, args[0] if source[1] else source[0], frame, lambda seen, full: seen.moved(full, target[0]))


def _link(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    note_path(found, from_folder(args[0], args[2]), frame, lambda seen, full: seen.read(full))
    note_path(found, from_folder(args[1], args[3]), frame, lambda seen, full: seen.wrote(full, "changed"))


def _symlink(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    note_path(found, from_folder(args[1], args[2]), frame, lambda seen, full: seen.wrote(full, "changed"))


def _mkdir(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    note_path(found, from_folder(args[0], args[2]), frame, lambda seen, full: seen.made_folder(full))


def _draw_name(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    note_path(found, args[0], frame, lambda seen, full: seen.drawn_names.add(full))


def _truncate(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    note_path(found, args[0], frame, lambda seen, full: seen.wrote(full, "changed"))


def _set_time(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    note_path(found, from_folder(args[0], args[-1]), frame, lambda seen, full: _set(seen, full, "the time of"))


def _set_mode(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    path, mode, folder = args

    def note(seen: Observed, full: str) -> None:
        if not os.path.exists(full) or os.stat(full).st_mode & 0o7777 != mode:
            _set(seen, full, "who may use")

    note_path(found, from_folder(path, folder), frame, note)


def _set_owner(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    note_path(found, from_folder(args[0], args[-1]), frame, lambda seen, full: _set(seen, full, "the owner of"))


def _get_attribute(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    """Attributes beside a file's content are no part of how it looks; ``shutil`` copies them along."""
    if type(args[0]) is not int and frame.f_code.co_filename != _REMOVERS:
        note_path(found, args[0], frame, lambda seen, full: seen.give_reason(f"it reads extended attributes of {full}"))


def _set_attribute(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    if type(args[0]) is not int and frame.f_code.co_filename != _REMOVERS:
        note_path(found, args[0], frame, lambda seen, full: _set(seen, full, "extended attributes of"))


def _set(seen: Observed, path: str, what: str) -> None:
    """Of what the step made itself it is a part of the making; of another nobody looks whether it is still so.

    Where nothing is, nothing is set: that this fails tells what asking would, as in `Path.touch`, which then makes it.
    """
    if path in seen.writes or os.path.isdir(path):
        return
    if os.path.lexists(path):
        seen.give_reason(f"it sets {what} {path}")
    else:
        seen.asked_for(path)


def _dlopen(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    if args[0] and os.sep in os.fsdecode(args[0]):
        note_path(found, args[0], frame, Observed.read)


def _process(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    caller = next((one for one in callers(frame) if one.f_code.co_filename != _SUBPROCESS), frame)
    if caller.f_code.co_filename in _ASK_THE_SYSTEM or is_imported_library(caller):
        return
    program = args[0] if args[0] is not None else args[1][0]
    note_process(found, os.fsdecode(program))


def _system(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    note_process(found, os.fsdecode(args[0]).split()[0] if args[0] else "")


def _fork(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    note_process(found, "fork")


def note_process(found: Observers, name: str) -> None:
    """Note that a program was started, whose reading and writing nobody sees here."""
    for seen in found:
        if len(seen.processes) < 100:
            seen.processes.add(name)


def _input(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    _give_reason(found, "standard input can't be read again")


def _give_reason(found: Observers, text: str) -> None:
    for seen in found:
        seen.give_reason(text)


def _setenv(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    for seen in () if is_imported_library(frame) else found:
        if len(seen.variables_set) < 1000:
            seen.variables_set.add(os.fsdecode(args[0]))


def _find_by_name(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    """What a pickle refers to by name is code that the step may run, and that nothing else leads to.

    What a library unpacks before it calls any of the user's functions came with the step, as coffea's processors do.
    """
    module, name = str(args[0]), str(args[1])
    if not is_user_code(module) and "cloudpickle" not in module:  # which makes what went by value
        return
    by_name = module != "__main__" and is_user_code(module) and is_within_users(frame)
    for seen in found:
        if by_name:
            seen.found_by_name(module, name)
        else:
            seen.unpacked_users = True


def _chdir(found: Observers, args: tuple[Any, ...], frame: FrameType) -> None:
    for seen in found:
        seen.used_cwd = True
        seen.give_reason("it changes the working folder of its process")


LISTENERS: dict[str, Callable[..., None]] = {frames.EVENT: frames.looked_at}
"""What is told of events in any case, whether a step runs or not; they must not raise."""
HANDLERS: dict[str, Handler] = {
    "open": _open,
    "os.listdir": _list,
    "os.scandir": _list,
    "os.remove": _remove,
    "os.rmdir": _remove,
    "os.rename": _rename,
    "os.link": _link,
    "os.symlink": _symlink,
    "os.mkdir": _mkdir,
    "os.truncate": _truncate,
    "tempfile.mkdtemp": _draw_name,
    "os.utime": _set_time,
    "os.chmod": _set_mode,
    "os.chown": _set_owner,
    "os.getxattr": _get_attribute,
    "os.listxattr": _get_attribute,
    "os.setxattr": _set_attribute,
    "os.removexattr": _set_attribute,
    "os.chdir": _chdir,
    "os.putenv": _setenv,
    "os.unsetenv": _setenv,
    "os.system": _system,
    "os.exec": _process,
    "os.posix_spawn": _process,
    "os.spawn": lambda found, args, frame: note_process(found, os.fsdecode(args[1])),
    "os.fork": _fork,
    "os.forkpty": _fork,
    "pty.spawn": lambda found, args, frame: note_process(found, "pty"),
    "subprocess.Popen": _process,
    "socket.connect": connections.connected,
    "socket.sendto": connections.connected,
    "socket.bind": connections.bound,
    "http.client.send": connections.requested,
    "pickle.find_class": _find_by_name,
    "ctypes.dlopen": _dlopen,
    "builtins.input": _input,
}
"""What is done at which event; other modules of this room add theirs."""
