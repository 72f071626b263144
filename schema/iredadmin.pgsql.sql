-- Records beside the directory, for a new, empty PostgreSQL database: Dovecot writes used quotas,
-- last logins and shares; the API reads those, and writes deleted mailboxes, a log, settings.
--
-- An iRedMail server has its own and needs none of this. In a database that has these tables the
-- first statement is refused, and nothing changes. Tables of iRedAdmin's web pages are left out.

CREATE TABLE used_quota (
    username VARCHAR(255) NOT NULL PRIMARY KEY,
    bytes BIGINT NOT NULL DEFAULT 0,
    messages BIGINT NOT NULL DEFAULT 0,
    domain VARCHAR(255) NOT NULL DEFAULT ''
);
CREATE INDEX used_quota_domain ON used_quota (domain);

-- Dovecot does not write the domain, and here inserts what is to be added to a row.
CREATE FUNCTION used_quota_insert() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    UPDATE used_quota
    SET bytes = used_quota.bytes + NEW.bytes, messages = used_quota.messages + NEW.messages
    WHERE username = NEW.username;
    IF FOUND THEN
        RETURN NULL;
    END IF;
    NEW.domain := split_part(NEW.username, '@', 2);
    RETURN NEW;
END
$$;

CREATE TRIGGER used_quota_insert BEFORE INSERT ON used_quota
    FOR EACH ROW EXECUTE FUNCTION used_quota_insert();

CREATE TABLE last_login (
    username VARCHAR(255) NOT NULL DEFAULT '',
    domain VARCHAR(255) NOT NULL DEFAULT '',
    imap BIGINT,
    pop3 BIGINT,
    lda BIGINT,
    PRIMARY KEY (username, domain)
);
CREATE INDEX last_login_domain ON last_login (domain);

CREATE TABLE share_folder (
    from_user VARCHAR(150) NOT NULL,
    to_user VARCHAR(150) NOT NULL,
    dummy CHAR(1),
    PRIMARY KEY (from_user, to_user)
);

CREATE TABLE anyone_shares (
    from_user VARCHAR(255) NOT NULL PRIMARY KEY,
    dummy CHAR(1) DEFAULT '1'
);

-- A delete_date of NULL keeps the files for ever. iRedMail has this table in another database
-- when it uses PostgreSQL, and then has no LDAP either; here it is for a new database of ours.
CREATE TABLE deleted_mailboxes (
    id SERIAL PRIMARY KEY,
    timestamp TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    username VARCHAR(255) NOT NULL DEFAULT '',
    domain VARCHAR(255) NOT NULL DEFAULT '',
    maildir VARCHAR(255) NOT NULL DEFAULT '',
    bytes BIGINT NOT NULL DEFAULT 0,
    messages BIGINT NOT NULL DEFAULT 0,
    admin VARCHAR(255) NOT NULL DEFAULT '',
    delete_date DATE
);
CREATE INDEX deleted_mailboxes_timestamp ON deleted_mailboxes (timestamp);
CREATE INDEX deleted_mailboxes_username ON deleted_mailboxes (username);
CREATE INDEX deleted_mailboxes_domain ON deleted_mailboxes (domain);
CREATE INDEX deleted_mailboxes_admin ON deleted_mailboxes (admin);
CREATE INDEX deleted_mailboxes_delete_date ON deleted_mailboxes (delete_date);

-- Timestamps are UTC.
CREATE TABLE log (
    id SERIAL PRIMARY KEY,
    timestamp TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    admin VARCHAR(255) NOT NULL,
    ip VARCHAR(40) NOT NULL,
    domain VARCHAR(255) NOT NULL DEFAULT '',
    username VARCHAR(255) NOT NULL DEFAULT '',
    event VARCHAR(20) NOT NULL DEFAULT '',
    loglevel VARCHAR(10) NOT NULL DEFAULT 'info',
    msg TEXT
);

CREATE TABLE domain_ownership (
    id SERIAL PRIMARY KEY,
    admin VARCHAR(255) NOT NULL DEFAULT '',
    domain VARCHAR(255) NOT NULL DEFAULT '',
    alias_domain VARCHAR(255) NOT NULL DEFAULT '',
    verify_code VARCHAR(100) NOT NULL DEFAULT '',
    verified SMALLINT NOT NULL DEFAULT 0,
    message TEXT,
    last_verify TIMESTAMP,
    expire BIGINT DEFAULT 0,
    UNIQUE (admin, domain, alias_domain)
);
CREATE INDEX domain_ownership_verified ON domain_ownership (verified);

CREATE TABLE newsletter_subunsub_confirms (
    id SERIAL PRIMARY KEY,
    mail VARCHAR(255) NOT NULL DEFAULT '',
    mlid VARCHAR(255) NOT NULL DEFAULT '',
    subscriber VARCHAR(255) NOT NULL DEFAULT '',
    kind VARCHAR(20) NOT NULL DEFAULT '',
    token VARCHAR(255) NOT NULL DEFAULT '',
    expired BIGINT NOT NULL DEFAULT 0,
    UNIQUE (mlid, subscriber, kind)
);

-- The account is global, a domain or an address; v is JSON with the one key "value".
CREATE TABLE settings (
    id SERIAL PRIMARY KEY,
    account VARCHAR(255) NOT NULL DEFAULT 'global',
    k VARCHAR(255) NOT NULL,
    v TEXT,
    UNIQUE (account, k)
);
