"""Two directory servers, two nodes, and what becomes of them when one is gone."""
