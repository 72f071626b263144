"""Settings: their sections, where they come from, and those in effect."""
