"""Files that people and other programs write: users, and what is by hand."""
