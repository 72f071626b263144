"""Roof: everything that knows HTTP."""
