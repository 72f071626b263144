-- Spam policies, white- and blacklists for a new, empty MariaDB database: Amavisd reads these
-- tables, and iRedAPD the lists, at every message.
--
-- An iRedMail server has its own and needs none of this. In a database that has these tables the
-- first statement is refused, and nothing changes. Amavisd's log and quarantine are left out.
-- There are no foreign keys: what refers to a row is removed by hand.

-- Local addresses and patterns. A policy_id of 0 means none; the default is the global one.
CREATE TABLE users (
    id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    priority INTEGER NOT NULL DEFAULT 7,
    policy_id INTEGER UNSIGNED NOT NULL DEFAULT 1,
    email VARBINARY(255) NOT NULL,
    fullname VARCHAR(255),
    UNIQUE (email)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

-- The other side of both lists.
CREATE TABLE mailaddr (
    id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    priority INTEGER NOT NULL DEFAULT 7,
    email VARBINARY(255) NOT NULL,
    UNIQUE (email)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

-- For incoming mail: rid is users.id, sid is mailaddr.id; wb is W or B.
CREATE TABLE wblist (
    rid INTEGER UNSIGNED NOT NULL,
    sid INTEGER UNSIGNED NOT NULL,
    wb VARCHAR(10) NOT NULL,
    PRIMARY KEY (rid, sid)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

-- For outgoing mail, the other way round: rid is mailaddr.id, sid is users.id.
CREATE TABLE outbound_wblist (
    rid INTEGER UNSIGNED NOT NULL,
    sid INTEGER UNSIGNED NOT NULL,
    wb VARCHAR(10) NOT NULL,
    PRIMARY KEY (rid, sid)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

-- NULL leaves a field to the next policy, and in the end to Amavisd's configuration.
CREATE TABLE policy (
    id INT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY,
    policy_name VARCHAR(255) NOT NULL DEFAULT '',
    virus_lover CHAR(1),
    spam_lover CHAR(1),
    unchecked_lover CHAR(1),
    banned_files_lover CHAR(1),
    bad_header_lover CHAR(1),
    bypass_virus_checks CHAR(1),
    bypass_spam_checks CHAR(1),
    bypass_banned_checks CHAR(1),
    bypass_header_checks CHAR(1),
    virus_quarantine_to VARCHAR(64),
    spam_quarantine_to VARCHAR(64),
    banned_quarantine_to VARCHAR(64),
    unchecked_quarantine_to VARCHAR(64),
    bad_header_quarantine_to VARCHAR(64),
    clean_quarantine_to VARCHAR(64),
    archive_quarantine_to VARCHAR(64),
    spam_tag_level FLOAT,
    spam_tag2_level FLOAT,
    spam_tag3_level FLOAT,
    spam_kill_level FLOAT,
    spam_dsn_cutoff_level FLOAT,
    spam_quarantine_cutoff_level FLOAT,
    addr_extension_virus VARCHAR(64),
    addr_extension_spam VARCHAR(64),
    addr_extension_banned VARCHAR(64),
    addr_extension_bad_header VARCHAR(64),
    warnvirusrecip CHAR(1),
    warnbannedrecip CHAR(1),
    warnbadhrecip CHAR(1),
    newvirus_admin VARCHAR(64),
    virus_admin VARCHAR(64),
    banned_admin VARCHAR(64),
    bad_header_admin VARCHAR(64),
    spam_admin VARCHAR(64),
    spam_subject_tag VARCHAR(64),
    spam_subject_tag2 VARCHAR(64),
    spam_subject_tag3 VARCHAR(64),
    message_size_limit INTEGER,
    banned_rulenames VARCHAR(64),
    disclaimer_options VARCHAR(64),
    forward_method VARCHAR(64),
    sa_userconf VARCHAR(64),
    sa_username VARCHAR(64),
    UNIQUE (policy_name)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_general_ci;

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
SELECT 0, id, '@.' FROM policy WHERE policy_name = '@.';
