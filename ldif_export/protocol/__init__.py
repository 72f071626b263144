"""The LDAP protocol over sockets, without libldap: BER, messages, connections."""
