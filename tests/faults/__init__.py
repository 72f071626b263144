"""A cluster under load while parts of it are broken, and the judgement of what became of it."""
