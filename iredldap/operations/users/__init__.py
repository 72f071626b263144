"""Operations on mail users and their mailboxes."""
