"""Listings of domains and accounts."""
