"""gunicorn's settings; each line with its reason. Values come from iredldap's configuration."""

import atexit
import gc
import logging
import os
from typing import Any

# Loaded before the fork: each worker would do so for half a second and more, and keep a copy.
import iredldap.app  # noqa: F401
from iredldap.config import current
from iredldap.web import slots
from iredldap.web.logs import WithoutSecrets, write_json_lines
from iredldap.web.server.worker import serving

# This file is executed again at a reload: errors in the configuration are logged then, and the last
# valid one stays in effect.
_config = current.load()

# Made before the fork, so that all workers count the same downloads.
slots.share(_config.api.downloads)

wsgi_app = "iredldap.wsgi:application"

bind = _config.server.bind

# Threads: a sync worker is killed in the middle of a long download, and a signal to it would
# break off an LDAP write whose fate nobody then knows. gevent does not help: libldap blocks.
# gthread's own way of sharing them out lets slow clients and slow calls keep all of them.
worker_class = serving(_config)

# Processes use the cores, few threads wait for the directory: many threads in one process only
# pass the interpreter's lock around.
workers = _config.server.processes
threads = _config.server.threads

# The application is made in each worker, not before the fork: a connection to the directory that
# two processes share mixes up their answers.
preload_app = False

# gthread counts the time that the worker's own loop is silent, not that of a request: a download
# of an hour is fine, a worker that hangs is not.
timeout = 60

# A restart lets running requests and downloads end.
graceful_timeout = _config.server.graceful_timeout

# Clients that keep their connection save a handshake per call.
keepalive = 15

# Longer lines are no request of this API, and a header cannot fill the memory.
limit_request_line = 8190
limit_request_fields = 100

# Who may speak for a client is decided by trusted_proxies; gunicorn shall believe nobody.
forwarded_allow_ips = ""

# Whoever controls the server does so by signals; from version 25 on gunicorn would open a socket
# besides. Versions without the setting ignore it.
control_socket_disable = True

# The application writes one line per request, without query strings, which may hold a password.
accesslog = None
errorlog = "-"
loglevel = _config.server.log_level

# gunicorn quotes a request that it cannot read, and the target of one that fails.
_errors = logging.getLogger("gunicorn.error")
if not any(isinstance(each, WithoutSecrets) for each in _errors.filters):
    _errors.addFilter(WithoutSecrets())

# A heartbeat file on a disk can stall a worker; memory does not. In some containers and chroots
# only root may write there, and gunicorn would start no worker.
worker_tmp_dir = "/dev/shm" if os.access("/dev/shm", os.W_OK | os.X_OK) else None  # noqa: S108


def post_fork(server: Any, worker: Any) -> None:
    """Set up this process's log."""
    write_json_lines(_config.server.log_level, _config.server.node_name)


def post_worker_init(worker: Any) -> None:
    """Finish what a worker before us had to leave, also if nobody ever calls; leave in order."""
    # Not above: the application is made after the fork.
    from iredldap.wsgi import gateways  # noqa: PLC0415

    atexit.register(gateways.close)
    gateways.start()
    # What is loaded by now stays; looking through it for garbage would halt all threads for some
    # 70 ms in the middle of a long listing.
    gc.collect()
    gc.freeze()
