"""Operations on mailing lists, unsubscribable and subscribable."""
