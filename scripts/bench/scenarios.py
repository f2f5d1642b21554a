"""What is measured, and the bar that Herder has to meet in each case.

One unit is a request; where a body has 1 MiB it is a MiB as well, so that costs are per MiB there.
"""

import dataclasses

MIB = 1 << 20

# What a browser sends beside Host: twelve lines, as of 2024.
BROWSER = (
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
    "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/webp,*/*;q=0.8",
    "Accept-Language: en-US,en;q=0.5",
    "Accept-Encoding: gzip, deflate, br, zstd",
    "Referer: http://127.0.0.1/shop/cart",
    "Cookie: session=3f9a8c1b2d4e5f60718293a4b5c6d7e8; theme=dark; consent=1",
    "Upgrade-Insecure-Requests: 1",
    "Sec-Fetch-Dest: document",
    "Sec-Fetch-Mode: navigate",
    "Sec-Fetch-Site: same-origin",
    "Sec-Fetch-User: ?1",
    "Priority: u=0, i",
)

# The relay reads nothing: it does not close when the client asked to, and opens a connection to
# the origin for each of the client's.
RELAY_KEEPS = "it does not look at requests, so it never closes a connection after one"


@dataclasses.dataclass(frozen=True)
class Bar:
    """Herder's `part` is at most `limit` times that of the cheapest of `others`.

    With `part` "rate": its rate with the most connections is at least `limit` times that with the
    fewest.
    """

    part: str
    others: tuple
    limit: float


@dataclasses.dataclass(frozen=True)
class Scenario:
    """One kind of load."""

    name: str
    about: str
    bars: tuple
    unit: str = "request"
    # Each product has one turn per number in every round.
    connections: tuple = (64,)
    response_bytes: int = 1024
    body_bytes: int = 0
    headers: tuple = ()
    # Requests leave when they are due, at half of what the products carry.
    open_loop: bool = False
    left_out: dict = dataclasses.field(default_factory=dict)


SCENARIOS = {
    scenario.name: scenario
    for scenario in (
        Scenario(
            "keep-alive",
            "1 KiB responses over 64 connections that stay open",
            (
                Bar("total", ("relay",), 1.2),
                Bar("total", ("haproxy",), 0.9),
                Bar("total", ("nginx",), 0.95),
                Bar("total", ("envoy",), 0.35),
                Bar("total", ("traefik",), 0.25),
                Bar("user", ("haproxy",), 0.6),
                Bar("user", ("nginx",), 0.6),
            ),
        ),
        Scenario(
            "browser",
            "keep-alive, with the twelve header lines that a browser adds",
            (),
            headers=BROWSER,
        ),
        Scenario(
            "new-connection",
            "1 KiB responses, 64 clients, a new connection for every request",
            (Bar("total", ("haproxy", "nginx"), 1.0),),
            headers=("Connection: close",),
            left_out={"relay": RELAY_KEEPS},
        ),
        Scenario(
            "download",
            "1 MiB responses over 16 connections that stay open",
            (Bar("total", ("haproxy",), 1.0),),
            unit="MiB",
            connections=(16,),
            response_bytes=MIB,
        ),
        Scenario(
            "upload",
            "1 MiB request bodies over 16 connections that stay open",
            (Bar("total", ("haproxy",), 1.0),),
            unit="MiB",
            connections=(16,),
            response_bytes=16,
            body_bytes=MIB,
        ),
        Scenario(
            "latency",
            "1 KiB responses at half load over 64 connections, requests due at random moments",
            (Bar("p50", ("haproxy",), 1.0), Bar("p99", ("haproxy",), 1.0)),
            open_loop=True,
        ),
        Scenario(
            "connections",
            "1 KiB responses over 64 and over 1,000 connections that stay open",
            (Bar("rate", (), 0.9),),
            connections=(64, 1000),
        ),
    )
}
