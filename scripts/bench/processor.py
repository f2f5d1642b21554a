"""Processor time of a process and its descendants, from /proc."""

import contextlib
import dataclasses
import os


@dataclasses.dataclass(frozen=True)
class Spent:
    """What a process and its descendants have had of a core."""

    # By thread: nanoseconds on a core, and in which it could have run and did not get one.
    threads: dict
    # Ticks in user and in system mode: a sample, so that only the split is taken from them.
    user_ticks: int
    system_ticks: int

    def since(self, before):
        """What was spent since `before`, but for threads that have ended meanwhile."""
        threads = {}
        for thread, (run, wait) in self.threads.items():
            run_before, wait_before = before.threads.get(thread, (0, 0))
            threads[thread] = (run - run_before, wait - wait_before)
        user = self.user_ticks - before.user_ticks
        return Spent(threads, user, self.system_ticks - before.system_ticks)

    @property
    def run_s(self):
        """Seconds on a core."""
        return sum(run for run, _ in self.threads.values()) / 1e9

    @property
    def wait_s(self):
        """Seconds in which a thread could have run and did not get a core."""
        return sum(wait for _, wait in self.threads.values()) / 1e9


def spent(pid):
    """What a process and its descendants have had so far."""
    threads, user, system = {}, 0, 0
    for member in family(pid):
        fields = _stat(member)
        user, system = user + int(fields[11]), system + int(fields[12])
        for thread in os.listdir(f"/proc/{member}/task"):
            with contextlib.suppress(OSError):
                path = f"/proc/{member}/task/{thread}/schedstat"
                with open(path, encoding="ascii") as file:
                    run, wait, _ = file.read().split()
                    threads[thread] = (int(run), int(wait))
    return Spent(threads, user, system)


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
