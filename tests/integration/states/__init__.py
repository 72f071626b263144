"""Tests of desired states."""
