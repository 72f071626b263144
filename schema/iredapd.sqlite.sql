-- Throttling and greylisting for a new, empty SQLite database: iRedAPD reads these tables, and
-- writes the counters, at every message that Postfix asks it about.
--
-- An iRedMail server has its own and needs none of this. In a database that has these tables the
-- first statement is refused, and nothing changes. iRedAPD's own log, smtp_sessions, is left out.

CREATE TABLE throttle (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    account VARCHAR(255) COLLATE NOCASE NOT NULL,
    kind VARCHAR(10) COLLATE NOCASE NOT NULL DEFAULT 'outbound',
    priority INTEGER NOT NULL DEFAULT 0,
    period INTEGER NOT NULL DEFAULT 0,
    msg_size INTEGER NOT NULL DEFAULT -1,
    max_msgs INTEGER NOT NULL DEFAULT -1,
    max_quota INTEGER NOT NULL DEFAULT -1,
    max_rcpts INTEGER NOT NULL DEFAULT -1,
    UNIQUE (account, kind)
);

CREATE TABLE throttle_tracking (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    tid INTEGER NOT NULL DEFAULT 0,
    account VARCHAR(255) COLLATE NOCASE NOT NULL DEFAULT '',
    period INTEGER NOT NULL DEFAULT 0,
    cur_msgs INTEGER NOT NULL DEFAULT 0,
    cur_quota INTEGER NOT NULL DEFAULT 0,
    init_time INTEGER NOT NULL DEFAULT 0,
    last_time INTEGER NOT NULL DEFAULT 0,
    last_notify_time INTEGER NOT NULL DEFAULT 0,
    UNIQUE (tid, account),
    FOREIGN KEY (tid) REFERENCES throttle (id)
);

CREATE TABLE greylisting (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    account VARCHAR(100) COLLATE NOCASE NOT NULL DEFAULT '',
    priority INTEGER NOT NULL DEFAULT 0,
    sender VARCHAR(100) COLLATE NOCASE NOT NULL DEFAULT '',
    sender_priority INTEGER NOT NULL DEFAULT 0,
    comment VARCHAR(255) COLLATE NOCASE NOT NULL DEFAULT '',
    active INTEGER NOT NULL DEFAULT 1,
    UNIQUE (account, sender)
);
CREATE INDEX greylisting_comment ON greylisting (comment);

CREATE TABLE greylisting_whitelists (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    account VARCHAR(100) COLLATE NOCASE NOT NULL DEFAULT '',
    sender VARCHAR(100) COLLATE NOCASE NOT NULL DEFAULT '',
    comment VARCHAR(255) COLLATE NOCASE NOT NULL DEFAULT '',
    UNIQUE (account, sender)
);
CREATE INDEX greylisting_whitelists_comment ON greylisting_whitelists (comment);

CREATE TABLE greylisting_whitelist_domain_spf (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    account VARCHAR(100) COLLATE NOCASE NOT NULL DEFAULT '',
    sender VARCHAR(100) COLLATE NOCASE NOT NULL DEFAULT '',
    comment VARCHAR(255) COLLATE NOCASE NOT NULL DEFAULT '',
    UNIQUE (account, sender)
);
CREATE INDEX greylisting_whitelist_domain_spf_comment ON greylisting_whitelist_domain_spf (comment);

CREATE TABLE greylisting_whitelist_domains (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    domain VARCHAR(255) COLLATE NOCASE NOT NULL DEFAULT '',
    UNIQUE (domain)
);

CREATE TABLE greylisting_tracking (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    sender VARCHAR(255) COLLATE NOCASE NOT NULL,
    recipient VARCHAR(255) COLLATE NOCASE NOT NULL,
    client_address VARCHAR(40) COLLATE NOCASE NOT NULL,
    sender_domain VARCHAR(255) COLLATE NOCASE NOT NULL DEFAULT '',
    rcpt_domain VARCHAR(255) COLLATE NOCASE NOT NULL DEFAULT '',
    init_time INTEGER NOT NULL DEFAULT 0,
    block_expired INTEGER NOT NULL DEFAULT 0,
    record_expired INTEGER NOT NULL DEFAULT 0,
    blocked_count INTEGER NOT NULL DEFAULT 0,
    passed INTEGER NOT NULL DEFAULT 0,
    UNIQUE (sender, recipient, client_address)
);

CREATE TABLE wblist_rdns (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    rdns VARCHAR(255) COLLATE NOCASE NOT NULL DEFAULT '',
    wb VARCHAR(10) COLLATE NOCASE NOT NULL DEFAULT 'B',
    UNIQUE (rdns)
);

CREATE TABLE srs_exclude_domains (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    domain VARCHAR(255) COLLATE NOCASE NOT NULL DEFAULT '',
    UNIQUE (domain)
);

CREATE TABLE senderscore_cache (
    client_address VARCHAR(40) COLLATE NOCASE NOT NULL PRIMARY KEY,
    score INTEGER NOT NULL DEFAULT 0,
    time INTEGER NOT NULL DEFAULT 0
);

-- Everybody's mail is greylisted until a row of higher priority says otherwise.
INSERT INTO greylisting (account, priority, sender, sender_priority, active)
VALUES ('@.', 0, '@.', 0, 1);
