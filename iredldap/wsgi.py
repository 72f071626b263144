"""Entry point for gunicorn: ``iredldap.wsgi:application``, made in every worker."""

from iredldap.app import Gateways, create_app
from iredldap.config import current

config = current.config()
gateways = Gateways.open(config)
application = create_app(config, gateways)
