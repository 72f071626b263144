"""Views of parameters: what is stored, as a request would set it."""
