"""gunicorn as one instance of a herd: one process with threads, on the port it is given.

On SIGTERM gunicorn stops accepting and lets requests finish for `graceful_timeout` seconds.
Herder has taken the instance out of the pool and waited for its requests before that.
"""

import os

bind = f"127.0.0.1:{os.environ.get('PORT', '8000')}"
workers = 1
worker_class = "gthread"
threads = 64
# Longer than Herder keeps an idle connection, so that it is never the instance that closes first.
keepalive = 75
graceful_timeout = 10
