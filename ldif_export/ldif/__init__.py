"""LDIF text and the files that hold it: parsing, compression."""
