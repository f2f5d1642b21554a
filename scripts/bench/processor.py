"""Processor time of a process and its descendants, from /proc."""

import contextlib
import dataclasses
import os


@dataclasses.dataclass(frozen=True)
class Spent:
    """What a process and its descendants have had of a core."""

    # Seconds on a core, counted by the scheduler in nanoseconds.
    run_s: float
    # Seconds in which they could have run and did not get a core.
    wait_s: float
    # Ticks in user and in system mode: a sample, so that only the split is taken from them.
    user_ticks: int
    system_ticks: int

    def since(self, before):
        """What was spent since `before`."""
        return Spent(*(now - then for now, then in zip(_values(self), _values(before))))


def spent(pid):
    """What a process and its descendants have had so far."""
    run_ns, wait_ns, user, system = 0, 0, 0, 0
    for member in family(pid):
        fields = _stat(member)
        user, system = user + int(fields[11]), system + int(fields[12])
        for task in os.listdir(f"/proc/{member}/task"):
            with contextlib.suppress(OSError):
                with open(f"/proc/{member}/task/{task}/schedstat", encoding="ascii") as file:
                    run, wait, _ = file.read().split()
                    run_ns, wait_ns = run_ns + int(run), wait_ns + int(wait)
    return Spent(run_ns / 1e9, wait_ns / 1e9, user, system)


def _values(of):
    return of.run_s, of.wait_s, of.user_ticks, of.system_ticks


def family(pid):
    """A process and its descendants, by their ids."""
    members, parents = {pid}, {}
    for name in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            parents[int(name)] = int(_stat(name)[1])
    while children := {child for child, of in parents.items() if of in members} - members:
        members |= children
    return members


def _stat(pid):
    """The fields of /proc/PID/stat behind the name, beginning with the state."""
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        return file.read().rpartition(")")[2].split()
