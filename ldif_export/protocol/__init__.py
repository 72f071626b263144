"""LDAP over sockets without libldap: BER, messages, connections."""
