"""Who may call: sessions and API tokens, in the program's own database."""
