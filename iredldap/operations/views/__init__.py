"""Read entries and policies as requests would set them."""
