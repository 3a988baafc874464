"""Shuts a process out of the environment and memory of the processes around it, then executes a command in its place.

Run as a program, before the command: so nothing of it runs in a fork of a threaded process, and the command has this process's id.
Only the standard library: the interpreter starts without site packages. Two means, in this order:

1. Landlock: a process in a Landlock domain may not trace one outside it, so the kernel refuses it `/proc/PID/environ` and
   `/proc/PID/mem` of those, also to root. Files, devices and the network stay as they are: what the domain has to restrict to exist is
   signals and abstract sockets to processes outside it (Linux 6.12), or moving files between folders, which is then allowed everywhere
   (Linux 5.19). Before 5.19 Landlock forbids such moves, with which TensorFlow writes its files, and is not used.
2. A user namespace: a process in it has no right to trace one outside it. Not for root, which would lose its rights to others' files.

Root gives up three capabilities as well: since 2025 Linux shows `environ` to who may watch performance, whatever Landlock says. Whether
the means holds is then tried: the parent's environment must not open.

The first argument is a file descriptor: a JSON object a line says by what the command is shut out, and why it did not start.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import struct
import sys
from collections.abc import Callable
from typing import NoReturn

LANDLOCK, USER_NAMESPACE = "Landlock", "a user namespace"
NOT_STARTED = 127

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # the same on every architecture
_ASK_VERSION = 1
_REFER = 1 << 13
_ABSTRACT_SOCKETS, _SIGNALS = 1 << 0, 1 << 1
_PATH_BENEATH = 1
_LEAST_VERSION, _SCOPED_VERSION = 2, 6
_NO_NEW_PRIVILEGES = 38
_BOUNDING_READ, _BOUNDING_DROP = 23, 24
_CAPABILITIES_VERSION = 0x20080522
_SYS_PTRACE, _SYS_ADMIN, _PERFMON = 19, 21, 38
_NEW_USER_NAMESPACE = 0x10000000

_libc = ctypes.CDLL(None, use_errno=True)


def shut_out() -> tuple[str | None, str]:
    """Shut this process out of the environment and memory of every other one that is running now.

    Returns:
        By what, or `None` where the kernel offers nothing; and what it refused.
    """
    refused = []
    means: tuple[tuple[str, Callable[[], None]], ...] = ((LANDLOCK, by_landlock), (USER_NAMESPACE, by_user_namespace))
    for name, restrict in means:
        try:
            restrict()
        except OSError as error:
            refused.append(f"{name}: {error.strerror}")
            continue
        if not _parent_is_readable():
            return name, "; ".join(refused)
        refused.append(f"{name}: the parent's environment can still be read")
    return None, "; ".join(refused)


def by_landlock(newest: int = 99) -> None:
    """Enter a Landlock domain.

    Args:
        newest: version of Landlock's interface to use at most.

    Raises:
        OSError: the kernel has no Landlock, or one that is too old, or this process may not use it.
    """
    version = min(newest, _called(_libc.syscall, _CREATE_RULESET, None, ctypes.c_size_t(0), _ASK_VERSION))
    if version < _LEAST_VERSION:
        raise OSError(0, f"version {version} of its interface, at least {_LEAST_VERSION} is needed (Linux 5.19)")
    scoped = version >= _SCOPED_VERSION
    # Handled rights on files, on the network, and the scopes.
    attributes = struct.pack("=QQQ", 0, 0, _ABSTRACT_SOCKETS | _SIGNALS) if scoped else struct.pack("=Q", _REFER)
    ruleset = _called(_libc.syscall, _CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), 0)
    try:
        if not scoped:
            root = os.open("/", os.O_PATH | os.O_CLOEXEC)
            try:
                rule = struct.pack("=Qi", _REFER, root)
                _called(_libc.syscall, _ADD_RULE, ruleset, _PATH_BENEATH, rule, 0)
            finally:
                os.close(root)
        one, zero = ctypes.c_ulong(1), ctypes.c_ulong(0)
        _called(_libc.prctl, _NO_NEW_PRIVILEGES, one, zero, zero, zero)
        _called(_libc.syscall, _RESTRICT_SELF, ruleset, 0)
    finally:
        os.close(ruleset)
    _give_up_capabilities()


def by_user_namespace() -> None:
    """Enter a user namespace in which this process keeps its user and group.

    Raises:
        OSError: the kernel or the container forbids it, or the user is root.
    """
    user, group = os.geteuid(), os.getegid()
    if user == 0:
        raise OSError(0, "not for root")
    _called(_libc.unshare, _NEW_USER_NAMESPACE)
    for name, text in (("setgroups", "deny"), ("uid_map", f"{user} {user} 1"), ("gid_map", f"{group} {group} 1")):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(text)


def _give_up_capabilities() -> None:
    """Give up what shows other processes' memory in spite of Landlock, also after an exec as root."""
    zero = ctypes.c_ulong(0)
    for number in (_SYS_PTRACE, _SYS_ADMIN, _PERFMON) if os.geteuid() == 0 else ():
        capability = ctypes.c_ulong(number)
        if _libc.prctl(_BOUNDING_READ, capability, zero, zero, zero) == 1:  # -1: unknown to this kernel
            _called(_libc.prctl, _BOUNDING_DROP, capability, zero, zero, zero)
    head = struct.pack("=Ii", _CAPABILITIES_VERSION, 0)
    sets = ctypes.create_string_buffer(24)  # effective, permitted, inheritable: bits 0 to 31 of each, then 32 to 63
    _called(_libc.capget, head, sets)
    low, high = ~(1 << _SYS_PTRACE | 1 << _SYS_ADMIN), ~(1 << _PERFMON - 32)
    kept = [word & (low if at < 3 else high) for at, word in enumerate(struct.unpack("=6I", sets.raw))]
    _called(_libc.capset, head, struct.pack("=6I", *kept))


def _parent_is_readable() -> bool:
    try:
        with open(f"/proc/{os.getppid()}/environ", "rb"):
            return True
    except OSError:
        return False


def _called(function: Callable[..., int], *arguments: object) -> int:
    found = function(*arguments)
    if found < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return found


def main(report_to: int, required: bool, command: list[str]) -> NoReturn:
    """Shut this process out, report it, and execute the command; end without it where that fails."""
    by, refused = shut_out()
    report = {"by": by, "refused": refused}
    os.write(report_to, json.dumps(report).encode() + b"\n")
    if by is None and required:
        os._exit(NOT_STARTED)
    os.set_inheritable(report_to, False)
    # Python ignores both, and what is ignored stays so in the command.
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)  # noqa: S606 - a shell is what is not wanted
    except OSError as error:
        os.write(report_to, json.dumps({"errno": error.errno}).encode() + b"\n")
    os._exit(NOT_STARTED)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2] == "required", sys.argv[3:])
