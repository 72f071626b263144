"""First floor: one module per outside system."""
