"""Ground floor: what the directory looks like. Computes only; no I/O."""
