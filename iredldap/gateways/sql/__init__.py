"""Connections to SQL databases and statements: what the gateways of each database are made of."""
