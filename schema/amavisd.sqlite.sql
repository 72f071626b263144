-- Spam policies, white- and blacklists for a new, empty SQLite database: Amavisd reads these
-- tables, and iRedAPD the lists, at every message.
--
-- An iRedMail server has its own and needs none of this. In a database that has these tables the
-- first statement is refused, and nothing changes. Amavisd's log and quarantine are left out.
-- There are no foreign keys: what refers to a row is removed by hand.

-- Local addresses and patterns. A policy_id of 0 means none; the default is the global one.
CREATE TABLE users (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    priority INTEGER NOT NULL DEFAULT 7,
    policy_id INTEGER NOT NULL DEFAULT 1,
    email BLOB NOT NULL,
    fullname VARCHAR(255) COLLATE NOCASE,
    UNIQUE (email)
);

-- The other side of both lists.
CREATE TABLE mailaddr (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    priority INTEGER NOT NULL DEFAULT 7,
    email BLOB NOT NULL,
    UNIQUE (email)
);

-- For incoming mail: rid is users.id, sid is mailaddr.id; wb is W or B.
CREATE TABLE wblist (
    rid INTEGER NOT NULL,
    sid INTEGER NOT NULL,
    wb VARCHAR(10) COLLATE NOCASE NOT NULL,
    PRIMARY KEY (rid, sid)
);

-- For outgoing mail, the other way round: rid is mailaddr.id, sid is users.id.
CREATE TABLE outbound_wblist (
    rid INTEGER NOT NULL,
    sid INTEGER NOT NULL,
    wb VARCHAR(10) COLLATE NOCASE NOT NULL,
    PRIMARY KEY (rid, sid)
);

-- NULL leaves a field to the next policy, and in the end to Amavisd's configuration.
CREATE TABLE policy (
    id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT,
    policy_name VARCHAR(255) COLLATE NOCASE NOT NULL DEFAULT '',
    virus_lover CHAR(1) COLLATE NOCASE,
    spam_lover CHAR(1) COLLATE NOCASE,
    unchecked_lover CHAR(1) COLLATE NOCASE,
    banned_files_lover CHAR(1) COLLATE NOCASE,
    bad_header_lover CHAR(1) COLLATE NOCASE,
    bypass_virus_checks CHAR(1) COLLATE NOCASE,
    bypass_spam_checks CHAR(1) COLLATE NOCASE,
    bypass_banned_checks CHAR(1) COLLATE NOCASE,
    bypass_header_checks CHAR(1) COLLATE NOCASE,
    virus_quarantine_to VARCHAR(64) COLLATE NOCASE,
    spam_quarantine_to VARCHAR(64) COLLATE NOCASE,
    banned_quarantine_to VARCHAR(64) COLLATE NOCASE,
    unchecked_quarantine_to VARCHAR(64) COLLATE NOCASE,
    bad_header_quarantine_to VARCHAR(64) COLLATE NOCASE,
    clean_quarantine_to VARCHAR(64) COLLATE NOCASE,
    archive_quarantine_to VARCHAR(64) COLLATE NOCASE,
    spam_tag_level FLOAT,
    spam_tag2_level FLOAT,
    spam_tag3_level FLOAT,
    spam_kill_level FLOAT,
    spam_dsn_cutoff_level FLOAT,
    spam_quarantine_cutoff_level FLOAT,
    addr_extension_virus VARCHAR(64) COLLATE NOCASE,
    addr_extension_spam VARCHAR(64) COLLATE NOCASE,
    addr_extension_banned VARCHAR(64) COLLATE NOCASE,
    addr_extension_bad_header VARCHAR(64) COLLATE NOCASE,
    warnvirusrecip CHAR(1) COLLATE NOCASE,
    warnbannedrecip CHAR(1) COLLATE NOCASE,
    warnbadhrecip CHAR(1) COLLATE NOCASE,
    newvirus_admin VARCHAR(64) COLLATE NOCASE,
    virus_admin VARCHAR(64) COLLATE NOCASE,
    banned_admin VARCHAR(64) COLLATE NOCASE,
    bad_header_admin VARCHAR(64) COLLATE NOCASE,
    spam_admin VARCHAR(64) COLLATE NOCASE,
    spam_subject_tag VARCHAR(64) COLLATE NOCASE,
    spam_subject_tag2 VARCHAR(64) COLLATE NOCASE,
    spam_subject_tag3 VARCHAR(64) COLLATE NOCASE,
    message_size_limit INTEGER,
    banned_rulenames VARCHAR(64) COLLATE NOCASE,
    disclaimer_options VARCHAR(64) COLLATE NOCASE,
    forward_method VARCHAR(64) COLLATE NOCASE,
    sa_userconf VARCHAR(64) COLLATE NOCASE,
    sa_username VARCHAR(64) COLLATE NOCASE,
    UNIQUE (policy_name)
);

-- Without a policy of their own, all get spam and bad headers delivered, and viruses and banned
-- files quarantined.
INSERT INTO policy (
    policy_name,
    spam_lover, bypass_spam_checks, spam_quarantine_to,
    virus_lover, bypass_virus_checks, virus_quarantine_to,
    banned_files_lover, bypass_banned_checks, banned_quarantine_to,
    bad_header_lover, bypass_header_checks, bad_header_quarantine_to
) VALUES (
    '@.',
    'Y', 'N', '',
    'N', 'N', 'virus-quarantine',
    'N', 'N', 'banned-quarantine',
    'Y', 'N', ''
);

INSERT INTO users (priority, policy_id, email)
SELECT 0, id, CAST('@.' AS BLOB) FROM policy WHERE policy_name = '@.';
