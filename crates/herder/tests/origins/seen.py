"""What the Python origins share: writing down what an application was handed, one request a line.

It knows nothing of HTTP; a body that was not read to its end must not come here.
"""

import json
import os

ANSWER = b"seen"
FIELD = ("X-Seen", "yes")

_log = open(os.environ["SEEN"], "a", encoding="ascii")


def note(tag, method, target, body):
    """Appends a request. `tag` is its X-Forwarded-For; `target` text of Latin-1; `body` bytes."""
    line = {"tag": tag, "method": method, "target": target, "body": body.hex()}
    _log.write(json.dumps(line) + "\n")
    _log.flush()
