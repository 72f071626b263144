"""Compute what reverts a change, from its values in the change log and the entries as they are."""
