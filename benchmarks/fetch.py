"""Fetch a URL to standard output: ``fetch.py URL COOKIE``. It fails unless all of it comes.

A program of its own, so that who measures is not busy with it.
"""

import os
import sys
from http.client import HTTPConnection
from urllib.parse import urlsplit

_READ = 256 * 1024


def main(url: str, cookie: str) -> None:
    parts = urlsplit(url)
    connection = HTTPConnection(parts.netloc, timeout=120)
    connection.request("GET", f"{parts.path}?{parts.query}", headers={"Cookie": cookie})
    response = connection.getresponse()
    if response.status != 200:
        sys.exit(f"{url}: {response.status}")
    while chunk := response.read(_READ):
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(sys.stdout.fileno(), rest) :]


if __name__ == "__main__":
    main(*sys.argv[1:])
