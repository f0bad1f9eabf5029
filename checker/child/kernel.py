"""What the kernel holds a locked child to. Each function is one layer, and is for good.

What a kernel does not have (Landlock on macOS, say) is done without; what it has and refuses is an OSError.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import resource
import signal
import sys

NOBODY = 65_534
_MAX_DESCRIPTORS = (1 << 31) - 1 if sys.platform == "linux" else 1 << 16  # Linux closes them all in one call
_PR_SET_PDEATHSIG, _PR_SET_NO_NEW_PRIVS = 1, 38
_CREATE_RULESET, _RESTRICT_SELF = 444, 446  # of Linux, on every architecture
_CREATE_RULESET_VERSION = 1
_ABSENT = (errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM)  # EPERM: a container's filter hides it
_FILES = 0x1FFF  # execute, write, read, and all that makes or removes a name
_REFER, _TRUNCATE, _IOCTL_DEVICE = 1 << 13, 1 << 14, 1 << 15
_TCP = 0b11  # bind, connect
_SCOPES = 0b11  # abstract sockets, signals to processes outside
_ENVIRONMENT_FIELDS = slice(47, 49)  # of /proc/self/stat, after the name: env_start and env_end (proc_pid_stat(5))


class _Ruleset(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("tcp", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


def forget_environment() -> None:
    """Empty the environment, and the memory that /proc shows of it."""
    os.environ.clear()
    if sys.platform != "linux":
        return
    with open("/proc/self/stat", encoding="ascii", errors="replace") as stream:  # noqa: PTH123  no import needed
        begin, end = map(int, stream.read().rpartition(")")[2].split()[_ENVIRONMENT_FIELDS])
    if 0 < begin < end:
        ctypes.memset(begin, 0, end - begin)


def keep_only(kept: int) -> int:
    """Close every descriptor but `kept`, which becomes number 3; 0, 1 and 2 are /dev/null."""
    spare = fcntl.fcntl(kept, fcntl.F_DUPFD_CLOEXEC, 4)
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nothing, standard)
    os.dup2(spare, 3, inheritable=False)
    os.closerange(4, _MAX_DESCRIPTORS)
    return 3


def only_one_thread() -> None:
    """Raise OSError where this process has threads: what binds one would not bind the others."""
    if sys.platform == "linux" and len(os.listdir("/proc/self/task")) > 1:  # noqa: PTH208  no import needed
        raise OSError(errno.EBUSY, "there is more than one thread")


def die_with_parent() -> None:
    """Be killed when the parent ends, however it does."""
    if sys.platform == "linux":
        _checked(_libc().prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))


def drop_root() -> None:
    """Be nobody, where this is root: limits on processes do not hold for root. Where nobody cannot be, stay."""
    if os.geteuid() != 0:
        return
    try:
        os.setgroups([])
        os.setgid(NOBODY)  # of root, these change the real, the effective and the saved one
        os.setuid(NOBODY)
    except OSError as fault:
        if fault.errno not in (errno.EPERM, errno.EINVAL):  # a user namespace with one user in it
            raise


def no_new_privileges() -> None:
    """No program that is run from here can have more rights than this one."""
    if sys.platform == "linux":
        _checked(_libc().prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))


def landlock() -> int:
    """Reach no file, no TCP port, no process outside. Gives Landlock's version, 0 where the kernel has none.

    It holds for this thread and those that it starts, so it must be called while there is but one.
    """
    version = landlock_version()
    if version == 0:
        return 0
    rules = _Ruleset(_files_of(version), _TCP if version >= 4 else 0, _SCOPES if version >= 6 else 0)
    size = 24 if version >= 6 else 16 if version >= 4 else 8
    descriptor = _checked(_libc().syscall(_CREATE_RULESET, ctypes.byref(rules), size, 0))
    try:
        _checked(_libc().syscall(_RESTRICT_SELF, descriptor, 0))
    finally:
        os.close(descriptor)
    return version


def landlock_version() -> int:
    """The version of Landlock that this kernel has, 0 for none."""
    if sys.platform != "linux":
        return 0
    version = int(_libc().syscall(_CREATE_RULESET, None, 0, _CREATE_RULESET_VERSION))
    if version < 0 and ctypes.get_errno() in _ABSENT:
        return 0
    return _checked(version)


def _files_of(version: int) -> int:
    """The rights over files that this version of Landlock knows."""
    newer = ((2, _REFER), (3, _TRUNCATE), (5, _IOCTL_DEVICE))
    return _FILES | sum(right for since, right in newer if version >= since)


def limit_memory(more_bytes: int) -> None:
    """Let the address space grow by `more_bytes` from here. Only Linux keeps to it."""
    if sys.platform == "linux":
        _limit(resource.RLIMIT_AS, _address_space_bytes() + more_bytes)


def limit_cpu(more_s: int, at_most_s: int) -> None:
    """Be killed after `more_s` seconds of this process's CPU time from here, and after `at_most_s` in all."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    soft = int(usage.ru_utime + usage.ru_stime) + 1 + more_s
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    bound = at_most_s if hard == resource.RLIM_INFINITY else min(at_most_s, hard)
    resource.setrlimit(resource.RLIMIT_CPU, (min(soft, bound), bound))


def limit_file_size() -> None:
    """Write to no file, and leave no core."""
    _limit(resource.RLIMIT_FSIZE, 0)
    _limit(resource.RLIMIT_CORE, 0)


def limit_processes() -> None:
    """Start no process and no thread. Holds for everybody but root."""
    _limit(resource.RLIMIT_NPROC, 0)


def limit_descriptors() -> None:
    """Open nothing more: no file, no socket, no pipe. What is open stays open."""
    _limit(resource.RLIMIT_NOFILE, 0)


def _limit(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(kind, (bound, bound))


def _address_space_bytes() -> int:
    with open("/proc/self/statm", encoding="ascii") as stream:  # noqa: PTH123  no import needed
        return int(stream.read().split()[0]) * resource.getpagesize()


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _checked(result: int) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return int(result)
