"""Entry point for gunicorn: ``iredldap.wsgi:application``, made anew in every worker."""

import os
from pathlib import Path

from iredldap.app import Gateways, create_app
from iredldap.config import CONFIG_VARIABLE, DEFAULT_CONFIG, read_file

config = read_file(Path(os.environ.get(CONFIG_VARIABLE, DEFAULT_CONFIG)), os.environ)
gateways = Gateways.open(config)
application = create_app(config, gateways)
