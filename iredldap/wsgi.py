"""Entry point for gunicorn: ``iredldap.wsgi:application``, made anew in every worker."""

from iredldap import current
from iredldap.app import Gateways, create_app

config = current.config()
gateways = Gateways.open(config)
application = create_app(config, gateways)
