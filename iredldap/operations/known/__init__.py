"""What one process remembers of the directory, brought up to date by what has changed since."""
