"""Operations on throttling, greylisting, white- and blacklists and spam policies."""
