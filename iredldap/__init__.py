"""REST API that manages an iRedMail installation directly in its OpenLDAP directory."""

__version__ = "0.2.0"
