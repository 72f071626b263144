-- Throttling and greylisting for a new, empty MariaDB database: iRedAPD reads these tables, and
-- writes the counters, at every message that Postfix asks it about.
--
-- An iRedMail server has its own and needs none of this. In a database that has these tables the
-- first statement is refused, and nothing changes. iRedAPD's own log, smtp_sessions, is left out.

CREATE TABLE throttle (
    id BIGINT(20) UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    account VARCHAR(255) NOT NULL,
    kind VARCHAR(10) NOT NULL DEFAULT 'outbound',
    priority TINYINT(1) UNSIGNED NOT NULL DEFAULT 0,
    period INT(10) UNSIGNED NOT NULL DEFAULT 0,
    msg_size BIGINT NOT NULL DEFAULT -1,
    max_msgs BIGINT NOT NULL DEFAULT -1,
    max_quota BIGINT NOT NULL DEFAULT -1,
    max_rcpts BIGINT NOT NULL DEFAULT -1,
    UNIQUE (account, kind)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE throttle_tracking (
    id BIGINT(20) UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    tid BIGINT(20) UNSIGNED NOT NULL DEFAULT 0,
    account VARCHAR(255) NOT NULL DEFAULT '',
    period INT(10) UNSIGNED NOT NULL DEFAULT 0,
    cur_msgs MEDIUMINT(8) UNSIGNED NOT NULL DEFAULT 0,
    cur_quota INT(10) UNSIGNED NOT NULL DEFAULT 0,
    init_time INT(10) UNSIGNED NOT NULL DEFAULT 0,
    last_time INT(10) UNSIGNED NOT NULL DEFAULT 0,
    last_notify_time INT(10) UNSIGNED NOT NULL DEFAULT 0,
    UNIQUE (tid, account),
    FOREIGN KEY (tid) REFERENCES throttle (id)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE greylisting (
    id BIGINT(20) UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    account VARCHAR(100) NOT NULL DEFAULT '',
    priority TINYINT(2) NOT NULL DEFAULT 0,
    sender VARCHAR(100) NOT NULL DEFAULT '',
    sender_priority TINYINT(2) NOT NULL DEFAULT 0,
    comment VARCHAR(255) NOT NULL DEFAULT '',
    active TINYINT(1) NOT NULL DEFAULT 1,
    UNIQUE (account, sender),
    INDEX (comment)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE greylisting_whitelists (
    id BIGINT(20) UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    account VARCHAR(100) NOT NULL DEFAULT '',
    sender VARCHAR(100) NOT NULL DEFAULT '',
    comment VARCHAR(255) NOT NULL DEFAULT '',
    UNIQUE (account, sender),
    INDEX (comment)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE greylisting_whitelist_domain_spf (
    id BIGINT(20) UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    account VARCHAR(100) NOT NULL DEFAULT '',
    sender VARCHAR(100) NOT NULL DEFAULT '',
    comment VARCHAR(255) NOT NULL DEFAULT '',
    UNIQUE (account, sender),
    INDEX (comment)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE greylisting_whitelist_domains (
    id BIGINT(20) UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    domain VARCHAR(255) NOT NULL DEFAULT '',
    UNIQUE (domain)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE greylisting_tracking (
    id BIGINT(20) UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    sender VARCHAR(255) NOT NULL,
    recipient VARCHAR(255) NOT NULL,
    client_address VARCHAR(40) NOT NULL,
    sender_domain VARCHAR(255) NOT NULL DEFAULT '',
    rcpt_domain VARCHAR(255) NOT NULL DEFAULT '',
    init_time INT(10) UNSIGNED NOT NULL DEFAULT 0,
    block_expired INT(10) UNSIGNED NOT NULL DEFAULT 0,
    record_expired INT(10) UNSIGNED NOT NULL DEFAULT 0,
    blocked_count BIGINT NOT NULL DEFAULT 0,
    passed TINYINT(1) NOT NULL DEFAULT 0,
    UNIQUE (sender, recipient, client_address)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE wblist_rdns (
    id BIGINT(20) UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    rdns VARCHAR(255) NOT NULL DEFAULT '',
    wb VARCHAR(10) NOT NULL DEFAULT 'B',
    UNIQUE (rdns)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE srs_exclude_domains (
    id BIGINT(20) UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    domain VARCHAR(255) NOT NULL DEFAULT '',
    UNIQUE (domain)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE senderscore_cache (
    client_address VARCHAR(40) NOT NULL PRIMARY KEY,
    score INT(10) UNSIGNED NOT NULL DEFAULT 0,
    time INT(10) UNSIGNED NOT NULL DEFAULT 0
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

-- Everybody's mail is greylisted until a row of higher priority says otherwise.
INSERT INTO greylisting (account, priority, sender, sender_priority, active)
VALUES ('@.', 0, '@.', 0, 1);
