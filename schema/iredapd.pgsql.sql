-- Throttling and greylisting for a new, empty PostgreSQL database: iRedAPD reads these tables, and
-- writes the counters, at every message that Postfix asks it about.
--
-- An iRedMail server has its own and needs none of this. In a database that has these tables the
-- first statement is refused, and nothing changes. iRedAPD's own log, smtp_sessions, is left out.

-- As on an iRedMail server nothing here keeps (account, kind) unique: writers see to it.
CREATE TABLE throttle (
    id SERIAL PRIMARY KEY,
    account VARCHAR(255) NOT NULL,
    kind VARCHAR(10) NOT NULL DEFAULT 'outbound',
    priority BIGINT NOT NULL DEFAULT 0,
    period BIGINT NOT NULL DEFAULT 0,
    msg_size BIGINT NOT NULL DEFAULT -1,
    max_msgs BIGINT NOT NULL DEFAULT -1,
    max_quota BIGINT NOT NULL DEFAULT -1,
    max_rcpts BIGINT NOT NULL DEFAULT -1
);
CREATE INDEX throttle_account ON throttle (account);

CREATE TABLE throttle_tracking (
    id SERIAL PRIMARY KEY,
    tid BIGINT,
    account VARCHAR(255) NOT NULL DEFAULT '',
    period BIGINT NOT NULL DEFAULT 0,
    cur_msgs BIGINT NOT NULL DEFAULT 0,
    cur_quota BIGINT NOT NULL DEFAULT 0,
    init_time BIGINT NOT NULL DEFAULT 0,
    last_time BIGINT NOT NULL DEFAULT 0,
    last_notify_time BIGINT NOT NULL DEFAULT 0,
    FOREIGN KEY (tid) REFERENCES throttle (id)
);
CREATE INDEX throttle_tracking_tid ON throttle_tracking (tid, account);

CREATE TABLE greylisting (
    id SERIAL PRIMARY KEY,
    account VARCHAR(255) NOT NULL DEFAULT '',
    priority SMALLINT NOT NULL DEFAULT 0,
    sender VARCHAR(255) NOT NULL DEFAULT '',
    sender_priority SMALLINT NOT NULL DEFAULT 0,
    comment VARCHAR(255) NOT NULL DEFAULT '',
    active SMALLINT NOT NULL DEFAULT 1,
    UNIQUE (account, sender)
);
CREATE INDEX greylisting_comment ON greylisting (comment);

CREATE TABLE greylisting_whitelists (
    id SERIAL PRIMARY KEY,
    account VARCHAR(255) NOT NULL DEFAULT '',
    sender VARCHAR(255) NOT NULL DEFAULT '',
    comment VARCHAR(255) NOT NULL DEFAULT '',
    UNIQUE (account, sender)
);
CREATE INDEX greylisting_whitelists_comment ON greylisting_whitelists (comment);

CREATE TABLE greylisting_whitelist_domain_spf (
    id SERIAL PRIMARY KEY,
    account VARCHAR(255) NOT NULL DEFAULT '',
    sender VARCHAR(255) NOT NULL DEFAULT '',
    comment VARCHAR(255) NOT NULL DEFAULT '',
    UNIQUE (account, sender)
);
CREATE INDEX greylisting_whitelist_domain_spf_comment ON greylisting_whitelist_domain_spf (comment);

CREATE TABLE greylisting_whitelist_domains (
    id SERIAL PRIMARY KEY,
    domain VARCHAR(255) NOT NULL DEFAULT '',
    UNIQUE (domain)
);

CREATE TABLE greylisting_tracking (
    id SERIAL PRIMARY KEY,
    sender VARCHAR(255) NOT NULL,
    recipient VARCHAR(255) NOT NULL,
    client_address VARCHAR(40) NOT NULL,
    sender_domain VARCHAR(255) NOT NULL DEFAULT '',
    rcpt_domain VARCHAR(255) NOT NULL DEFAULT '',
    init_time BIGINT NOT NULL DEFAULT 0,
    block_expired BIGINT NOT NULL DEFAULT 0,
    record_expired BIGINT NOT NULL DEFAULT 0,
    blocked_count BIGINT NOT NULL DEFAULT 0,
    passed SMALLINT NOT NULL DEFAULT 0,
    UNIQUE (sender, recipient, client_address)
);

CREATE TABLE wblist_rdns (
    id SERIAL PRIMARY KEY,
    rdns VARCHAR(255) NOT NULL DEFAULT '',
    wb VARCHAR(10) NOT NULL DEFAULT 'B',
    UNIQUE (rdns)
);

CREATE TABLE srs_exclude_domains (
    id SERIAL PRIMARY KEY,
    domain VARCHAR(255) NOT NULL DEFAULT '',
    UNIQUE (domain)
);

CREATE TABLE senderscore_cache (
    client_address VARCHAR(40) NOT NULL PRIMARY KEY,
    score BIGINT NOT NULL DEFAULT 0,
    time BIGINT NOT NULL DEFAULT 0
);

-- Everybody's mail is greylisted until a row of higher priority says otherwise.
INSERT INTO greylisting (account, priority, sender, sender_priority, active)
VALUES ('@.', 0, '@.', 0, 1);
