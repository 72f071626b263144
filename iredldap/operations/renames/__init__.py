"""Operations that give a mail user or a mail alias another address."""
