"""The layout of the directory: attributes, parameters, rules. Computes only; no I/O."""
