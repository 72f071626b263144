"""Table of background jobs, in the program's own database."""

import sqlalchemy as sql

from iredldap.gateways.tables.state import LONG, METADATA

JOBS = sql.Table(
    "jobs",
    METADATA,
    sql.Column("id", sql.String(64), primary_key=True),
    sql.Column("owner", sql.String(320), nullable=False),
    sql.Column("request", LONG, nullable=False),
    # Its name in databases of earlier versions, too.
    sql.Column("course", LONG, nullable=False, key="state"),
    sql.Column("status", sql.String(16), nullable=False, index=True),
    sql.Column("done", sql.BigInteger, nullable=False),
    sql.Column("total", sql.BigInteger),
    sql.Column("failures", sql.BigInteger, nullable=False),
    sql.Column("code", LONG),
    sql.Column("report", LONG),
    sql.Column("worker", sql.String(320), nullable=False),
    sql.Column("heartbeat", sql.BigInteger, nullable=False),
    sql.Column("attempts", sql.Integer, nullable=False),
    sql.Column("created", sql.BigInteger, nullable=False),
    sql.Column("finished", sql.BigInteger, index=True),
)
# By the names of their columns in the code: rows have those of the database otherwise.
WHOLE_JOB = sql.select(*(column.label(column.key) for column in JOBS.c))
# A request may hold a file of hundreds of megabytes, and clients ask for a job every second.
JOB_WITHOUT_WORK = sql.select(
    *(
        (sql.literal("") if column.key in {"request", "state"} else column).label(column.key)
        for column in JOBS.c
    )
)
UNFINISHED = JOBS.c.status.in_(("queued", "running"))
