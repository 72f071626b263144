"""Operations on domains, their admins and alias domains."""
