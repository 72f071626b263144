"""TLS for servers under test: certificates of a private CA, and a front for what has none."""

import select
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import chain
from pathlib import Path


def certificates(home: Path) -> Path:
    """Make a private CA, certificates for 127.0.0.1, one of them expired, and one for another host.

    Return home.
    """
    ca = ("-CA", "ca.pem", "-CAkey", "ca.key")
    signs = ("basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign")
    made: list[tuple[str, tuple[str, ...], tuple[str, ...]]] = [
        ("ca", signs, ()),
        ("other-ca", signs, ()),
        ("here", ("basicConstraints=CA:FALSE", "subjectAltName=IP:127.0.0.1"), ca),
        ("elsewhere", ("basicConstraints=CA:FALSE", "subjectAltName=DNS:elsewhere.test"), ca),
    ]
    for name, extensions, signed_by in made:
        subprocess.run(
            [
                *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt"),
                *("ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"),
                *("-subj", f"/CN={name}.test", *signed_by),
                *chain.from_iterable(("-addext", extension) for extension in extensions),
                *("-keyout", f"{name}.key", "-out", f"{name}.pem"),
            ],
            cwd=home,
            check=True,
            capture_output=True,
        )
    _expire(home)
    return home


_CA_CONFIGURATION = """\
[ca]
default_ca = private
[private]
database = issued.txt
new_certs_dir = .
rand_serial = yes
default_md = sha256
policy = anybody
copy_extensions = copy
[anybody]
commonName = supplied
"""


def _expire(home: Path) -> None:
    """Make a certificate for 127.0.0.1 that was good for a day, long ago."""
    (home / "ca.cnf").write_text(_CA_CONFIGURATION, "utf-8")
    (home / "issued.txt").touch()
    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    named = ("-subj", "/CN=expired.test", "-addext", "subjectAltName=IP:127.0.0.1")
    # Not by `openssl x509 -days -1`, which OpenSSL 3.5 refuses.
    signing = ("-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "ca.key", "-batch", "-notext")
    dates = ("-startdate", "20200101000000Z", "-enddate", "20200102000000Z")
    for words in (
        ("req", *new, *named, "-keyout", "expired.key", "-out", "expired.csr"),
        ("ca", *signing, *dates, "-in", "expired.csr", "-out", "expired.pem"),
    ):
        subprocess.run(["openssl", *words], cwd=home, check=True, capture_output=True)


@contextmanager
def in_front_of(port: int, certificates: Path, name: str = "here") -> Iterator[str]:
    """Offer a server on 127.0.0.1 by ``ldaps://``, with the certificate of a name."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / f"{name}.pem", certificates / f"{name}.key")

    def serve(client: socket.socket) -> None:
        with (
            suppress(OSError),
            client,
            context.wrap_socket(client, server_side=True) as tls,
            socket.create_connection(("127.0.0.1", port)) as plain,
        ):
            while True:
                ready, _, _ = select.select([tls, plain], [], [])
                source, sink = (tls, plain) if tls in ready else (plain, tls)
                if not (data := source.recv(65536)):
                    return
                sink.sendall(data)

    def accept() -> None:
        with suppress(OSError):
            while True:
                client, _ = listener.accept()
                # It ends with the client's connection.
                threading.Thread(target=serve, args=(client,), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepting = threading.Thread(target=accept)
        accepting.start()
        try:
            yield f"ldaps://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            accepting.join()
