-- Records beside the directory, for a new, empty MariaDB database: Dovecot writes used quotas,
-- last logins and shares; the API reads those, and writes deleted mailboxes, a log, settings.
--
-- An iRedMail server has its own and needs none of this. In a database that has these tables the
-- first statement is refused, and nothing changes. Tables of iRedAdmin's web pages are left out.

CREATE TABLE used_quota (
    username VARCHAR(255) NOT NULL PRIMARY KEY,
    bytes BIGINT NOT NULL DEFAULT 0,
    messages BIGINT NOT NULL DEFAULT 0,
    domain VARCHAR(255) NOT NULL DEFAULT '',
    INDEX (domain)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

-- Dovecot does not write the domain.
CREATE TRIGGER used_quota_insert BEFORE INSERT ON used_quota FOR EACH ROW
    SET NEW.domain = SUBSTRING_INDEX(NEW.username, '@', -1);

CREATE TABLE last_login (
    username VARCHAR(255) NOT NULL DEFAULT '' PRIMARY KEY,
    domain VARCHAR(255) NOT NULL DEFAULT '',
    imap INT(11),
    pop3 INT(11),
    lda INT(11),
    INDEX (domain)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE share_folder (
    from_user VARCHAR(150) NOT NULL,
    to_user VARCHAR(150) NOT NULL,
    dummy CHAR(1),
    PRIMARY KEY (from_user, to_user)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE anyone_shares (
    from_user VARCHAR(255) NOT NULL PRIMARY KEY,
    dummy CHAR(1) DEFAULT '1'
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

-- A delete_date of NULL keeps the files for ever.
CREATE TABLE deleted_mailboxes (
    id BIGINT(20) UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    timestamp TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    username VARCHAR(255) NOT NULL DEFAULT '',
    domain VARCHAR(255) NOT NULL DEFAULT '',
    maildir VARCHAR(255) NOT NULL DEFAULT '',
    bytes BIGINT NOT NULL DEFAULT 0,
    messages BIGINT NOT NULL DEFAULT 0,
    admin VARCHAR(255) NOT NULL DEFAULT '',
    delete_date DATE,
    INDEX (timestamp),
    INDEX (username),
    INDEX (domain),
    INDEX (admin),
    INDEX (delete_date)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

-- Timestamps are UTC.
CREATE TABLE log (
    id BIGINT(20) UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    timestamp TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    admin VARCHAR(255) NOT NULL,
    ip VARCHAR(40) NOT NULL,
    domain VARCHAR(255) NOT NULL DEFAULT '',
    username VARCHAR(255) NOT NULL DEFAULT '',
    event VARCHAR(20) NOT NULL DEFAULT '',
    loglevel VARCHAR(10) NOT NULL DEFAULT 'info',
    msg TEXT
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE domain_ownership (
    id BIGINT(20) UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    admin VARCHAR(255) NOT NULL DEFAULT '',
    domain VARCHAR(255) NOT NULL DEFAULT '',
    alias_domain VARCHAR(255) NOT NULL DEFAULT '',
    verify_code VARCHAR(100) NOT NULL DEFAULT '',
    verified TINYINT(1) NOT NULL DEFAULT 0,
    message TEXT,
    last_verify TIMESTAMP NULL,
    expire INT(10) UNSIGNED DEFAULT 0,
    UNIQUE (admin, domain, alias_domain),
    INDEX (verified)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

CREATE TABLE newsletter_subunsub_confirms (
    id BIGINT(20) UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    mail VARCHAR(255) NOT NULL DEFAULT '',
    mlid VARCHAR(255) NOT NULL DEFAULT '',
    subscriber VARCHAR(255) NOT NULL DEFAULT '',
    kind VARCHAR(20) NOT NULL DEFAULT '',
    token VARCHAR(255) NOT NULL DEFAULT '',
    expired INT(10) UNSIGNED NOT NULL DEFAULT 0,
    UNIQUE (mlid, subscriber, kind)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

-- The account is global, a domain or an address; v is JSON with the one key "value".
CREATE TABLE settings (
    id BIGINT(20) UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    account VARCHAR(255) NOT NULL DEFAULT 'global',
    k VARCHAR(255) NOT NULL,
    v TEXT,
    UNIQUE (account, k)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;
