"""Undo of a change in the change log: an ordinary plan, made from the values before it."""
