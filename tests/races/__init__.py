"""Opposing changes sent at the same time, and what must hold afterwards.

`table.py` lists the pairs, `contest.py` runs and judges them, `servers.py` starts what they run on.
Used by the tests with few rounds, and by ``python -m benchmarks races`` with many.
"""
