"""Export entries: full, as a snapshot, incremental."""
