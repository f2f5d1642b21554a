"""What a run found, as tables in Markdown, and whether Herder meets its bars."""

import datetime
import os
import platform
import re

from bench.products import PRODUCTS
from bench.run import DIRECT

# Below this part of the time with work to do, a product was waiting for the load.
BUSY_MIN = 0.9


def head(args, products):
    """The machine, the versions, the moment and the command."""
    versions = [f"{name} {PRODUCTS[name].told_version()}" for name in products if name != "relay"]
    now = datetime.datetime.now(datetime.timezone.utc)
    load = os.getloadavg()[0]
    print(f"machine: {_processor()}, {os.cpu_count()} cores, Linux {platform.release()}")
    print(f"versions: {', '.join(versions)}")
    print(f"when: {now:%Y-%m-%d %H:%M} UTC, load average {load:.1f} before the run")
    print(f"turns: {args.rounds} rounds of {args.seconds} s each\n", flush=True)


def table(found):
    """Prints the table of a scenario."""
    scenario = found.scenario
    print(f"\n### {scenario.name}: {scenario.about}\n")
    if scenario.open_loop:
        rows = _latency(found)
    elif len(scenario.connections) > 1 and len(found.rounds[0][found.names[0]]) > 1:
        rows = _connections(found)
    else:
        rows = _cost(found)
    _print(rows)
    print("\nMedians of the rounds; ratios are medians of the ratios within a round.")
    waited = [n for n in found.names if n != DIRECT and found.median(n, "busy") < BUSY_MIN]
    if waited and not scenario.open_loop:
        print(f"The load was the limit, not the product, for: {', '.join(waited)}.")


def bars(found):
    """Prints whether Herder meets the bars of a scenario, as far as the products tell."""
    ok, rows = True, [["bar", "at most", "found", ""]]
    for bar in found.scenario.bars:
        if "herder" not in found.names or any(o not in found.names for o in bar.others):
            continue
        if bar.part == "rate":
            if len(found.rounds[0]["herder"]) < 2:
                continue
            value, least = found.kept("herder", "rate"), bar.limit
            met, name = value >= least, "requests/s with the most connections / the fewest"
            limit = f"at least {least:.2f}"
        else:
            value = found.ratio("herder", bar.others, bar.part)
            met, limit = value <= bar.limit, f"{bar.limit:.2f}"
            name = f"{bar.part}, herder / {' or '.join(bar.others)}"
            name += ", whichever is less" if len(bar.others) > 1 else ""
        ok = ok and met
        rows.append([name, limit, f"{value:.2f}", "met" if met else "NOT met"])
    if len(rows) > 1:
        print()
        _print(rows)
    return ok


def _cost(found):
    unit = found.scenario.unit
    per_second = "MiB/s" if unit == "MiB" else "requests/s"
    rows = [["", f"µs per {unit}", "user", "system", per_second, "busy",
             "herder / it", "user part"]]
    for name in found.names:
        part = lambda what, name=name: found.median(name, what)
        row = [name] + [f"{part(what):.{_digits(found)}f}" for what in ("total", "user", "system")]
        row += [f"{part('rate'):,.0f}", f"{part('busy'):.0%}"]
        rows.append(row + _to_herder(found, name, ("total", "user")))
    return rows


def _connections(found):
    few, many = found.scenario.connections[0], found.scenario.connections[-1]
    rows = [["", f"requests/s at {few}", f"at {many:,}", "ratio", f"µs per request at {few}",
             f"at {many:,}", "ratio", f"busy at {many:,}"]]
    for name in found.names:
        part = lambda what, at, name=name: found.median(name, what, at)
        row = [name, f"{part('rate', 0):,.0f}", f"{part('rate', -1):,.0f}"]
        row += [f"{found.kept(name, 'rate'):.2f}"]
        row += [f"{part('total', 0):.2f}", f"{part('total', -1):.2f}"]
        rows.append(row + [f"{found.kept(name, 'total'):.2f}", f"{part('busy', -1):.0%}"])
    return rows


def _latency(found):
    rows = [["", "requests/s", "p50 µs", "p99 µs", "added p50", "added p99", "busy",
             "herder / it, p50", "p99"]]
    for name in found.names:
        part = lambda what, name=name: found.median(name, what)
        row = [name, f"{found.rates[name]:,}", f"{part('p50'):.0f}", f"{part('p99'):.0f}"]
        row += [f"{found.added(name, what):.0f}" for what in ("p50", "p99")]
        rows.append(row + [f"{part('busy'):.0%}"] + _to_herder(found, name, ("p50", "p99")))
    return rows


def _to_herder(found, name, parts):
    if "herder" not in found.names:
        return ["-" for _ in parts]
    return [f"{found.ratio('herder', (name,), part):.2f}" for part in parts]


def _digits(found):
    return 0 if found.scenario.unit == "MiB" else 2


def _print(rows):
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    rule = ["-" * widths[0]] + ["-" * (width - 1) + ":" for width in widths[1:]]
    for row in [rows[0], rule, *rows[1:]]:
        cells = [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        print("| " + " | ".join([row[0].ljust(widths[0]), *cells]) + " |")


def _processor():
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        found = re.search(r"model name\s*:\s*(.*)", file.read())
    return found[1] if found else platform.machine()
