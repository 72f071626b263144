"""One agreed writer: which of two servers is written to, and whether the other one has it all."""
