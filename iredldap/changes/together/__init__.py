"""Changes of several entries at once, each recorded as one of its own."""
