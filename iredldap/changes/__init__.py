"""Second floor: plans carried out."""
