"""Export entries: full, of one moment, incremental."""
