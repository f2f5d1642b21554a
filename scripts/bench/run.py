"""One run of a scenario: the origin, the products, and their turns."""

import contextlib
import dataclasses
import http.client
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import time

from bench import processor
from bench.products import PRODUCTS, binary, environment

PROXY_CORE, LOAD_CORE = 0, 1
START_DEADLINE_S = 20
WARM_UP_S = 1
# The origin without a product in front of it: what latency is added to.
DIRECT = "direct"
WRK_BODY = 'wrk.method = "POST"\nwrk.body = string.rep("x", {bytes})\n'


@dataclasses.dataclass(frozen=True)
class Turn:
    """What one product did in one turn."""

    requests: int
    elapsed_s: float
    spent: processor.Spent
    rate: float
    p50: float = 0.0
    p99: float = 0.0

    @property
    def total(self):
        """Microseconds of processor time per request."""
        return self.spent.run_s * 1e6 / self.requests

    @property
    def busy(self):
        """The part of the time in which it had work to do, whether it got the core or not."""
        return min((self.spent.run_s + self.spent.wait_s) / self.elapsed_s, 1.0)


class Run:
    """Everything that runs for a scenario, from its start to the end of `stack`."""

    def __init__(self, args, scenario, products, places):
        self.args = args
        self.scenario = scenario
        self.stack, self.folder = places
        # The workers of nginx are another user than root, and have their temporary files in it.
        os.chmod(self.folder, 0o755)
        self.running = {}
        self.rates = {}
        self.origin = free_port()
        flags = ["--bytes", scenario.response_bytes, "--body", scenario.body_bytes]
        command = [binary("origin"), "--port", self.origin, *flags]
        process = self._spawn("origin", [str(word) for word in command], LOAD_CORE)
        self._await_answer("origin", process, self.origin)
        if scenario.open_loop:
            self.running[DIRECT] = (process, self.origin)
        for name in products:
            self._start(name)
        if scenario.open_loop:
            self._find_rates()

    def round(self, number):
        """One turn of each product for each number of connections: a list of turns by name."""
        turns = {}
        for name in self.running:
            turns[name] = [self._turn(name, count, number) for count in self._connections()]
        told = [f"{name} {self._told(turns[name])}" for name in turns]
        print(f"round {number} of {self.args.rounds}: {', '.join(told)}", flush=True)
        return turns

    def _told(self, turns):
        if self.scenario.open_loop:
            return f"p50 {turns[0].p50:.0f} p99 {turns[0].p99:.0f} us"
        return " | ".join(f"{turn.total:.2f} us" for turn in turns)

    def _connections(self):
        own = self.args.connections
        return (own,) if own else self.scenario.connections

    def _start(self, name):
        """Starts a product, checks that it answers, and lets it warm up."""
        port = free_port()
        command = PRODUCTS[name].command(self.folder, port, self.origin)
        process = self._spawn(name, command, PROXY_CORE)
        self._await_answer(name, process, port)
        self._closed_loop(port, self._connections()[-1], WARM_UP_S)
        self.running[name] = (process, port)

    def _find_rates(self):
        """Half of what Herder or HAProxy carries, whichever is less, or half of its own."""
        most = {}
        for name, (_, port) in self.running.items():
            _, most[name], _ = self._closed_loop(port, self._connections()[0], self.args.seconds)
        common = [most[name] for name in ("herder", "haproxy") if name in most]
        shared = min(common or most.values())
        self.rates = {name: round(min(shared, own) / 2) for name, own in most.items()}

    def _turn(self, name, connections, number):
        process, port = self.running[name]
        began, before = time.monotonic(), processor.spent(process.pid)
        if self.scenario.open_loop:
            done = self._open_loop(port, connections, self.rates[name], number)
        else:
            done = self._closed_loop(port, connections, self.args.seconds)
        spent, elapsed_s = processor.spent(process.pid).since(before), time.monotonic() - began
        requests, rate, latencies = done
        if spent.run_s <= 0 or requests == 0:
            told = f"{requests} requests and {spent.run_s} s on a core: raise --seconds"
            sys.exit(f"bench-proxy: {self._at(port)}: {told}")
        return Turn(requests, elapsed_s, spent, rate, **latencies)

    def _closed_loop(self, port, connections, seconds):
        """Requests answered, requests per second, and no latencies: each waits for the other."""
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", "10s"]
        for header in self.scenario.headers:
            command += ["-H", header]
        if self.scenario.body_bytes:
            script = os.path.join(self.folder, "body.lua")
            with open(script, "w", encoding="ascii") as file:
                file.write(WRK_BODY.format(bytes=self.scenario.body_bytes))
            command += ["-s", script]
        text = self._load([*command, f"http://127.0.0.1:{port}/"], port)
        bad = re.search(r"Socket errors.*|Non-2xx.*", text)
        if bad:
            sys.exit(f"bench-proxy: {self._at(port)}: not a clean run: {bad[0]}")
        requests = re.search(r"(\d+) requests in ", text)
        rate = re.search(r"Requests/sec:\s*([\d.]+)", text)
        return int(requests[1]), float(rate[1]), {}

    def _open_loop(self, port, connections, rate, seed):
        """The same, with latencies in microseconds from when each request was due."""
        command = [binary("openloop"), "--to", f"127.0.0.1:{port}", "--rate", rate]
        command += ["--connections", connections, "--seconds", self.args.seconds, "--seed", seed]
        text = self._load([str(word) for word in command], port)
        told = dict(re.findall(r"(\w+) ([\d.]+)", text))
        latencies = {"p50": float(told["p50_us"]), "p99": float(told["p99_us"])}
        return int(told["answered"]), float(rate), latencies

    def _load(self, command, port):
        command = ["taskset", "-c", str(LOAD_CORE), *command]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            told = f"`{' '.join(command)}` failed:\n{done.stdout}{done.stderr}"
            sys.exit(f"bench-proxy: {self._at(port)}: {told}")
        return done.stdout

    def _at(self, port):
        """For messages: the scenario, and the product at a port."""
        names = [name for name, (_, its) in self.running.items() if its == port]
        return f"{self.scenario.name}, {names[0] if names else 'warming up'}"

    def _spawn(self, name, command, core):
        log = self.stack.enter_context(open(self._log(name), "wb"))
        process = subprocess.Popen(
            ["taskset", "-c", str(core), *command],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=environment(self.folder),
        )
        self.stack.callback(end, process)
        return process

    def _log(self, name):
        return os.path.join(self.folder, f"{name}.out")

    def _await_answer(self, name, process, port):
        """Returns once the answer is what the scenario wants."""
        deadline = time.monotonic() + START_DEADLINE_S
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self._answers(port, is_origin=name == "origin"):
                    return
            time.sleep(0.05)
        with open(self._log(name), encoding="utf-8", errors="replace") as file:
            sys.exit(f"bench-proxy: {name} does not answer as it should; it wrote:\n{file.read()}")

    def _answers(self, port, is_origin):
        headers = dict(header.split(": ", 1) for header in self.scenario.headers)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
        with contextlib.closing(connection):
            body = b"x" * self.scenario.body_bytes
            connection.request("POST" if body else "GET", "/", body=body or None, headers=headers)
            answer = connection.getresponse()
            is_whole = len(answer.read()) == self.scenario.response_bytes
            closes = is_origin or answer.will_close == ("Connection" in headers)
            return answer.status == 200 and is_whole and closes


class Found:
    """What the rounds of a scenario came to."""

    def __init__(self, scenario, rounds, rates):
        self.scenario = scenario
        self.rounds = rounds
        self.rates = rates
        self.names = list(rounds[0])

    def median(self, name, part, at=0):
        """The median over the rounds of one part: a number of a turn, or `user` or `system`."""
        return statistics.median(self._part(turns, name, part, at) for turns in self.rounds)

    def ratio(self, name, others, part):
        """The median of the ratios within a round, to the lowest of the others."""
        ratios = []
        for turns in self.rounds:
            lowest = min(self._part(turns, other, part) for other in others)
            ratios.append(self._part(turns, name, part) / lowest if lowest else float("inf"))
        return statistics.median(ratios)

    def kept(self, name, part):
        """The median of the ratios within a round: the most connections to the fewest."""
        return statistics.median(
            self._part(turns, name, part, -1) / self._part(turns, name, part, 0)
            for turns in self.rounds
        )

    def added(self, name, part):
        """The median of what a product adds to the origin's own latency, in microseconds."""
        return statistics.median(
            self._part(turns, name, part) - self._part(turns, DIRECT, part)
            for turns in self.rounds
        )

    def _part(self, turns, name, part, at=0):
        turn = turns[name][at]
        if part in ("user", "system"):
            return turn.total * self._share(name, part, at)
        return getattr(turn, part)

    def _share(self, name, part, at):
        """Of all rounds together: in one there are too few ticks to tell."""
        turns = [turns[name][at] for turns in self.rounds]
        user = sum(turn.spent.user_ticks for turn in turns)
        system = sum(turn.spent.system_ticks for turn in turns)
        return (user if part == "user" else system) / max(user + system, 1)


def free_port():
    """One that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def end(process):
    """Ends a process that we started and its descendants, by their ids."""
    if process.poll() is not None:
        return
    members = processor.family(process.pid)
    process.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(timeout=5)
        return
    for member in members:
        with contextlib.suppress(ProcessLookupError):
            os.kill(member, signal.SIGKILL)
    process.wait()
