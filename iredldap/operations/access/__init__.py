"""Who may call: API tokens, and the way back for admins who are locked out."""
