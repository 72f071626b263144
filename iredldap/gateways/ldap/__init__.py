"""Connections to the LDAP servers, and requests on them: what `directory.py` is made of."""
