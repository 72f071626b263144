-- Records beside the directory, for a new, empty SQLite database: Dovecot writes used quotas,
-- last logins and shares; the API reads those, and writes deleted mailboxes, a log, settings.
--
-- An iRedMail server has its own and needs none of this. In a database that has these tables the
-- first statement is refused, and nothing changes. Tables of iRedAdmin's web pages are left out.

CREATE TABLE used_quota (
    username VARCHAR(255) COLLATE NOCASE NOT NULL PRIMARY KEY,
    bytes INTEGER NOT NULL DEFAULT 0,
    messages INTEGER NOT NULL DEFAULT 0,
    domain VARCHAR(255) COLLATE NOCASE NOT NULL DEFAULT ''
);
CREATE INDEX used_quota_domain ON used_quota (domain);

-- Dovecot does not write the domain.
CREATE TRIGGER used_quota_insert AFTER INSERT ON used_quota FOR EACH ROW BEGIN
    UPDATE used_quota
    SET domain = substr(NEW.username, instr(NEW.username, '@') + 1)
    WHERE username = NEW.username;
END;

CREATE TABLE last_login (
    username VARCHAR(255) COLLATE NOCASE NOT NULL DEFAULT '' PRIMARY KEY,
    domain VARCHAR(255) COLLATE NOCASE NOT NULL DEFAULT '',
    imap INTEGER,
    pop3 INTEGER,
    lda INTEGER
);
CREATE INDEX last_login_domain ON last_login (domain);

CREATE TABLE share_folder (
    from_user VARCHAR(150) COLLATE NOCASE NOT NULL,
    to_user VARCHAR(150) COLLATE NOCASE NOT NULL,
    dummy CHAR(1) COLLATE NOCASE,
    PRIMARY KEY (from_user, to_user)
);

CREATE TABLE anyone_shares (
    from_user VARCHAR(255) COLLATE NOCASE NOT NULL PRIMARY KEY,
    dummy CHAR(1) COLLATE NOCASE DEFAULT '1'
);

-- A delete_date of NULL keeps the files for ever.
CREATE TABLE deleted_mailboxes (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    timestamp TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    username VARCHAR(255) COLLATE NOCASE NOT NULL DEFAULT '',
    domain VARCHAR(255) COLLATE NOCASE NOT NULL DEFAULT '',
    maildir VARCHAR(255) COLLATE NOCASE NOT NULL DEFAULT '',
    bytes INTEGER NOT NULL DEFAULT 0,
    messages INTEGER NOT NULL DEFAULT 0,
    admin VARCHAR(255) COLLATE NOCASE NOT NULL DEFAULT '',
    delete_date DATE
);
CREATE INDEX deleted_mailboxes_timestamp ON deleted_mailboxes (timestamp);
CREATE INDEX deleted_mailboxes_username ON deleted_mailboxes (username);
CREATE INDEX deleted_mailboxes_domain ON deleted_mailboxes (domain);
CREATE INDEX deleted_mailboxes_admin ON deleted_mailboxes (admin);
CREATE INDEX deleted_mailboxes_delete_date ON deleted_mailboxes (delete_date);

-- Timestamps are UTC.
CREATE TABLE log (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    timestamp TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    admin VARCHAR(255) COLLATE NOCASE NOT NULL,
    ip VARCHAR(40) COLLATE NOCASE NOT NULL,
    domain VARCHAR(255) COLLATE NOCASE NOT NULL DEFAULT '',
    username VARCHAR(255) COLLATE NOCASE NOT NULL DEFAULT '',
    event VARCHAR(20) COLLATE NOCASE NOT NULL DEFAULT '',
    loglevel VARCHAR(10) COLLATE NOCASE NOT NULL DEFAULT 'info',
    msg TEXT COLLATE NOCASE
);

CREATE TABLE domain_ownership (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    admin VARCHAR(255) COLLATE NOCASE NOT NULL DEFAULT '',
    domain VARCHAR(255) COLLATE NOCASE NOT NULL DEFAULT '',
    alias_domain VARCHAR(255) COLLATE NOCASE NOT NULL DEFAULT '',
    verify_code VARCHAR(100) COLLATE NOCASE NOT NULL DEFAULT '',
    verified INTEGER NOT NULL DEFAULT 0,
    message TEXT COLLATE NOCASE,
    last_verify TIMESTAMP,
    expire INTEGER DEFAULT 0,
    UNIQUE (admin, domain, alias_domain)
);
CREATE INDEX domain_ownership_verified ON domain_ownership (verified);

CREATE TABLE newsletter_subunsub_confirms (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    mail VARCHAR(255) COLLATE NOCASE NOT NULL DEFAULT '',
    mlid VARCHAR(255) COLLATE NOCASE NOT NULL DEFAULT '',
    subscriber VARCHAR(255) COLLATE NOCASE NOT NULL DEFAULT '',
    kind VARCHAR(20) COLLATE NOCASE NOT NULL DEFAULT '',
    token VARCHAR(255) COLLATE NOCASE NOT NULL DEFAULT '',
    expired INTEGER NOT NULL DEFAULT 0,
    UNIQUE (mlid, subscriber, kind)
);

-- The account is global, a domain or an address; v is JSON with the one key "value".
CREATE TABLE settings (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    account VARCHAR(255) COLLATE NOCASE NOT NULL DEFAULT 'global',
    k VARCHAR(255) COLLATE NOCASE NOT NULL,
    v TEXT COLLATE NOCASE,
    UNIQUE (account, k)
);
