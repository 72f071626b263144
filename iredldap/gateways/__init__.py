"""Outside systems, a module for each: the directory, databases, mlmmjadmin."""
