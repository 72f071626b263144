"""Metadata of the program's own database, which all of its tables share."""

import sqlalchemy as sql
from sqlalchemy.dialects.mysql import MEDIUMTEXT

METADATA = sql.MetaData()

# For a whole request body: TEXT of MySQL and MariaDB is limited to 64 KB.
LONG = sql.Text().with_variant(MEDIUMTEXT(), "mysql", "mariadb")
