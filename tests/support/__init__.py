"""Servers, programs and helpers that tests share."""
