"""The command `ldif-export`: a module for each of its verbs."""
