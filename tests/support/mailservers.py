"""Ask real Postfix and Dovecot what they make of a directory.

Both run on private configurations with the look-ups of an iRedMail server, of which
`tests.support.mail_lookups` is the table. Of Postfix only the map reader `postmap` runs, of Dovecot
only the authentication; neither listens on the network.
"""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Literal

from tests.support.dovecot_dialects import CONFIGURATION, LOG, STATE, Mailbox, Site, dialect
from tests.support.mail_lookups import ALIAS_MAPS, MAPS
from tests.support.patience import PATIENCE

PATH = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin"))

ENVIRONMENT = {
    "LC_ALL": "C",
    # libldap's defaults, from this machine's ldap.conf or the caller's ~/.ldaprc, are not ours.
    "LDAPNOINIT": "1",
    "PATH": PATH,
    # See `_without_lookups`: 1 s in place of 10 s where that cannot be had.
    "RES_OPTIONS": "attempts:1 timeout:1",
}

# Gives a command a host name of its own. One that is an address is not looked up.
UNDER_AN_ADDRESS = ("--uts", "--", "sh", "-c", 'hostname 127.0.0.1 && exec "$@"', "sh")

LONGEST_SOCKET_PATH = 100
LONGEST_DOVECOT_SOCKET = "/token-login/tokenlogin"

# The number of steps after which Postfix too gives up on an alias.
MOST_ALIASES = 1000

NOT_FOUND = 1  # of postmap
NO_USER = 67  # of doveadm

Security = Literal["", "secured", "tls"]


class MailServerError(Exception):
    """Postfix or Dovecot could not answer; the text is its own."""


class Postfix:
    """Postfix's LDAP maps, read with its own program."""

    def __init__(self, home: Path, uri: str, suffix: str, reader_password: str) -> None:
        """Write the private configuration.

        Args:
            home: Directory for it; made.
            uri: Of the LDAP server.
            suffix: Of the tree.
            reader_password: Of ``cn=vmail``.
        """
        self._home = home.absolute()
        self._postmap = _without_lookups("postmap")
        self._told: dict[tuple[tuple[str, ...], str], str | None] | None = None
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        main = ("compatibility_level = 3.6", "myhostname = mail.test", "inet_protocols = ipv4")
        _write(self._home / "main.cf", *main)
        for name, map_ in MAPS.items():
            _write(
                self._home / f"{name}.cf",
                f"server_host = {uri}",
                "version = 3",
                "bind = yes",
                f"bind_dn = cn=vmail,{suffix}",
                f"bind_pw = {reader_password}",
                f"search_base = {map_.below}o=domains,{suffix}",
                f"scope = {map_.scope}",
                f"query_filter = (&{map_.filter})",
                f"result_attribute = {map_.attribute}",
                f"result_format = {map_.format}",
            )

    def lookup(self, name: str, key: str) -> str | None:
        """Ask one map; several results are joined by commas.

        Raises:
            MailServerError: If it gives no answer, or one with complaints.
        """
        return self._first((name,), key)

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """Ask everything once during the block, in which nobody changes the directory.

        Each question takes a process: whoever wants to know who gets the mail for several addresses
        asks for the same domains and aliases again and again.
        """
        self._told = {}
        try:
            yield
        finally:
            self._told = None

    def _first(self, names: Sequence[str], key: str) -> str | None:
        """Ask maps in turn, by one process; give what the first has that knows the key."""
        if self._told is None:
            return self._asked(names, key)
        question = (tuple(names), key)
        if question not in self._told:
            self._told[question] = self._asked(names, key)
        return self._told[question]

    def _asked(self, names: Sequence[str], key: str) -> str | None:
        maps = [f"ldap:{self._home / name}.cf" for name in names]
        answer = _run(*self._postmap, "-c", str(self._home), "-q", key, *maps)
        if answer.returncode == NOT_FOUND and not answer.stderr:
            return None
        if answer.returncode or answer.stderr:
            said = answer.stderr.strip() or answer.returncode
            raise MailServerError(f"{', '.join(names)}, {key}: {said}")
        return answer.stdout.removesuffix("\n")

    def knows_domain(self, name: str) -> bool:
        """Whether mail for a domain is taken in, for mailboxes or as its backup MX."""
        return self._first(("virtual_mailbox_domains", "relay_domains"), name) is not None

    def recipients(self, address: str) -> set[str]:
        """Say who gets the mail for an address in the end.

        Addresses of foreign domains get theirs elsewhere and count. One that Postfix would refuse
        counts for nothing: in a domain that it does not know, or without mailbox and route in one
        that it delivers for.

        Raises:
            MailServerError: If aliases lead in a circle.
        """
        address = address.lower()
        if not self.knows_domain(_domain(address)):
            return set()
        return {found for found in self._expand(address) if self._has_place(found)}

    def _expand(self, address: str) -> set[str]:
        known: dict[str, list[str]] = {}
        ends: set[str] = set()
        waiting = [address]
        for _ in range(MOST_ALIASES):
            if not waiting:
                return ends
            here = waiting.pop()
            if here not in known:
                known[here] = self._targets(here)
            # An address among its own targets stays, beside the others.
            if not known[here] or here in known[here]:
                ends.add(here)
            waiting += [target for target in known[here] if target != here]
        raise MailServerError(f"{address}: no end of aliases")

    def _targets(self, address: str) -> list[str]:
        """Give the results of the first map that has any, for the address or else its domain."""
        local, _, domain = address.rpartition("@")
        for key in (address, f"@{domain}"):
            found = self._first(ALIAS_MAPS, key)
            if found is not None:
                targets = [target.strip().lower() for target in found.split(",")]
                # A bare domain as target keeps the local part.
                return [local + target if target[0] == "@" else target for target in targets]
        return []

    def _has_place(self, address: str) -> bool:
        if self.lookup("virtual_mailbox_domains", _domain(address)) is None:
            return True
        return self._first(("virtual_mailbox_maps", "transport_maps_user"), address) is not None


class Dovecot:
    """Dovecot's authentication, in the foreground and on Unix sockets of its own."""

    def __init__(self, home: Path, uri: str, suffix: str, reader_password: str) -> None:
        """Write the private configuration.

        Args:
            home: Directory for it, the log, the state and the sockets; made.
            uri: Of the LDAP server.
            suffix: Of the tree.
            reader_password: Of ``cn=vmail``.

        Raises:
            MailServerError: If another Dovecot than 2.3 or 2.4 is installed.
        """
        self._home = home.absolute()
        self._dovecot, self._doveadm = _without_lookups("dovecot"), _without_lookups("doveadm")
        version = _run(*self._dovecot, "--version").stdout.strip()
        known = dialect(version)
        if known is None:
            raise MailServerError(f"the tests need Dovecot 2.3 or 2.4; this is {version}")
        self._dialect = known
        self._directory = (uri, suffix, reader_password)
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._configuration = self._home / CONFIGURATION
        self._log = self._home / LOG
        self._base = self._home / "run"
        self._temporary: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def verifies_by_bind(self) -> bool:
        """Whether the directory verifies passwords, or Dovecot by the hash that it reads."""
        return self._dialect.verifies_by_bind

    def start(self, deadline: float = PATIENCE) -> None:
        """Start it and wait until it answers, `deadline` seconds at most.

        It gets SIGTERM when the thread that called this ends.

        Raises:
            MailServerError: With the end of its log, if it ends or stays silent.
        """
        self.stop()
        if len(os.fsencode(f"{self._base}{LONGEST_DOVECOT_SOCKET}")) > LONGEST_SOCKET_PATH:
            self._temporary = Path(tempfile.mkdtemp(prefix="iredldap-"))
            self._base = self._temporary / "run"
        self._write_configuration()
        self._log.unlink(missing_ok=True)
        with (self._home / "stderr").open("wb") as stderr:
            self._process = subprocess.Popen(
                [
                    *(_program("setpriv"), "--pdeathsig", "TERM", "--"),
                    *(*self._dovecot, "-F", "-c", str(self._configuration)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=stderr,
                stderr=stderr,
                cwd=self._home,
                env=os.environ | ENVIRONMENT,
                # Ctrl-C at the terminal is for the tests, which then stop it.
                start_new_session=True,
            )
        try:
            self._await_answer(deadline)
        except BaseException:
            self.stop()
            raise

    def stop(self, deadline: float = PATIENCE) -> None:
        """End it with all its processes; by force after `deadline` seconds."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(deadline)
            # What the master left behind, or the master too.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
            self._temporary = None
            self._base = self._home / "run"

    def accepts(
        self,
        user: str,
        password: str,
        service: str = "imap",
        secured: Security = "",
        client: str = "127.0.0.1",
    ) -> bool:
        """Whether a login succeeds; Dovecot takes half a second for a no.

        Args:
            user: Login name.
            password: In clear text.
            service: What is logged in to: ``imap``, ``pop3``, ``smtp``, ``sieve``.
            secured: How the client is connected: not secured; ``secured``, as from the loopback
                interface or a trusted network; ``tls``.
            client: Its address.

        Raises:
            MailServerError: If there is no answer.
        """
        security = ["-x", f"secured={secured}"] if secured else []
        origin = ["-x", f"service={service}", "-x", f"rip={client}"]
        answer = self._ask("auth", "test", *origin, *security, user, password)
        # The exit status of a refusal is also that of a failure.
        refused = " auth failed\n" in answer.stdout and "code=temp_fail" not in answer.stdout
        if answer.returncode and not refused:
            raise MailServerError(f"{user}: {answer.stdout}{answer.stderr}{self._log_end()}")
        return not refused

    def mailbox(self, user: str, service: str = "doveadm") -> Mailbox | None:
        """Look a user up as one of Dovecot's services.

        Raises:
            MailServerError: If there is no answer.
        """
        answer = self._ask("user", "-x", f"service={service}", user)
        if answer.returncode == NO_USER:
            return None
        if answer.returncode:
            raise MailServerError(f"{user}: {answer.stderr}{self._log_end()}")
        _, *lines = answer.stdout.splitlines()
        fields = {name: value for name, _, value in (line.partition("\t") for line in lines)}
        return self._dialect.mailbox(user, fields)

    def users(self) -> set[str]:
        """List all users.

        Raises:
            MailServerError: If there is no answer.
        """
        answer = self._ask("user", "*")
        if answer.returncode:
            raise MailServerError(f"{answer.stderr}{self._log_end()}")
        return set(answer.stdout.split())

    def _ask(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return _run(*self._doveadm, "-c", str(self._configuration), *arguments)

    def _write_configuration(self) -> None:
        # Dovecot itself insists on rights for all; the folder above is private.
        for folder in (self._base, self._home / STATE):
            folder.mkdir(mode=0o755, exist_ok=True)
        site = Site(self._home, self._base, *self._directory)
        for name, lines in self._dialect.files(site).items():
            _write(self._home / name, *lines)

    def _await_answer(self, deadline: float) -> None:
        until = time.monotonic() + deadline
        while not _greets(self._base / "auth-client"):
            if self._process is not None and self._process.poll() is not None:
                raise MailServerError(f"Dovecot ended: {self._log_end()}")
            if time.monotonic() > until:
                raise MailServerError(f"no answer in {deadline:g} s: {self._log_end()}")
            time.sleep(0.02)

    def _log_end(self) -> str:
        files = [file for file in (self._home / "stderr", self._log) if file.exists()]
        lines = [line for file in files for line in file.read_text(errors="replace").splitlines()]
        return "\n".join(["", *lines[-15:]])


def _greets(path: Path) -> bool:
    """Whether Dovecot's authentication behind a socket is ready for requests."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(PATIENCE)
        greeting = b""
        try:
            connection.connect(str(path))
            connection.sendall(b"VERSION\t1\t2\nCPID\t%d\n" % os.getpid())
            while b"DONE\n" not in greeting:
                received = connection.recv(4096)
                if not received:
                    return False
                greeting += received
        except OSError:
            return False
    return True


def _domain(address: str) -> str:
    return address.rpartition("@")[2]


def _program(name: str) -> str:
    found = shutil.which(name, path=PATH)
    if found is None:
        raise FileNotFoundError(f"{name} is not installed; tools/provide test installs it")
    return found


def _without_lookups(name: str) -> tuple[str, ...]:
    """Return the command of a program that does not look up the name of this machine.

    libldap does when a process first uses it, before it reads any option, and so does Dovecot.
    Where `/etc/hosts` lacks the name and no name server answers, as in a chroot, each process waits
    for two attempts of 5 s; a test has hundreds of them.
    """
    if _knows_itself():
        # Three processes fewer for each look-up.
        return (_program(name),)
    if os.geteuid() != 0:
        # It would take a user namespace, in which the files of root have another owner: Postfix
        # then refuses to load its LDAP maps.
        return (_program(name),)
    return (_program("unshare"), *UNDER_AN_ADDRESS, _program(name))


@cache
def _knows_itself() -> bool:
    """Return whether this machine's name is found in `/etc/hosts`, so without a name server."""
    try:
        lines = Path("/etc/hosts").read_text("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return False
    return any(socket.gethostname() in line.partition("#")[0].split()[1:] for line in lines)


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=PATIENCE,
        env=os.environ | ENVIRONMENT,
        check=False,
    )


def _write(path: Path, *lines: str) -> None:
    """Write a file that its owner alone can read, for there are passwords in some."""
    path.touch(mode=0o600)
    path.write_text("".join(f"{line}\n" for line in lines), "utf-8")
