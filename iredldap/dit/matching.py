"""Compare values of an attribute as the directory does.

A directory keeps two values apart by the equality rule of their attribute, not by their bytes:
``a  B`` is ``A b`` in a name, ``+1 555`` is ``+1555`` in a telephone number. Two values are equal
if they have one normal form.

Source: RFC 4517, RFC 4518; where OpenLDAP differs (it compares by Unicode 3.2, and telephone
numbers with regard to case), what it does: its verdicts are what counts.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from unicodedata import ucd_3_2_0 as unicode

from iredldap.dit import names

Parts = list[list[tuple[str, str]]]
"""The components of a DN: attribute and value, each in its normal form, of each component."""

_KEPT = "surrogateescape"
_MOST_KNOWN = 1000


@dataclass(frozen=True, slots=True)
class Equality:
    """The equality rule of an attribute.

    Args:
        name: One of its names, in lower case, the same for all.
        rule: Its equality rule, by name; empty: it has none, and the bytes are compared.
    """

    name: str
    rule: str


EqualityOf = Callable[[str], Equality]
"""Returns the equality rule of an attribute by any of its names or its OID, without options."""

# For what has no server to ask: files that are checked without one, and the exporter. Where there
# is a schema, it decides.
_STANDARD = {
    "": (
        "audio authorityRevocationList bootParameter certificateRevocationList "
        "crossCertificatePair deltaRevocationList dSAQuality enhancedSearchGuide "
        "facsimileTelephoneNumber jpegPhoto mailPreferenceOption nisNetgroupTriple otherMailbox "
        "personalSignature photo preferredDeliveryMethod searchGuide singleLevelQuality "
        "subtreeMaximumQuality subtreeMinimumQuality supportedAlgorithms "
        "teletexTerminalIdentifier telexNumber userPKCS12 userSMIMECertificate"
    ),
    "bitStringMatch": "x500UniqueIdentifier",
    "booleanMatch": (
        "amavisBadHeaderLover amavisBannedFilesLover amavisBypassBannedChecks "
        "amavisBypassHeaderChecks amavisBypassSpamChecks amavisBypassVirusChecks amavisLocal "
        "amavisSpamLover amavisSpamModifiesSubj amavisUncheckedLover amavisVirusLover "
        "amavisWarnBadHeaderRecip amavisWarnBannedRecip amavisWarnVirusRecip"
    ),
    "caseExactIA5Match": (
        "amavisAddrExtensionBadHeader amavisAddrExtensionBanned amavisAddrExtensionSpam "
        "amavisAddrExtensionVirus amavisSaUserConf amavisSaUserName amavisSpamSubjectTag "
        "amavisSpamSubjectTag2 amavisSpamSubjectTag3 bootFile homeDirectory loginShell "
        "mailMessageStore memberNisNetgroup memberUid nisMapEntry storageBaseDirectory"
    ),
    "caseExactMatch": "corbaRepositoryId labeledURI ref",
    "caseIgnoreIA5Match": (
        "accessPolicy accountSetting accountStatus amavisArchiveQuarantineTo amavisBadHeaderAdmin "
        "amavisBadHeaderQuarantineTo amavisBannedAdmin amavisBannedQuarantineTo "
        "amavisBannedRuleNames amavisBlacklistSender amavisCleanQuarantineTo "
        "amavisDisclaimerOptions amavisForwardMethod amavisMessageSizeLimit amavisNewVirusAdmin "
        "amavisSpamAdmin amavisSpamDsnCutoffLevel amavisSpamKillLevel "
        "amavisSpamQuarantineCutoffLevel amavisSpamQuarantineTo amavisSpamTag2Level "
        "amavisSpamTag3Level amavisSpamTagLevel amavisUncheckedQuarantineTo amavisVirusAdmin "
        "amavisVirusQuarantineTo amavisWhitelistSender aRecord associatedDomain backupMailAddress "
        "birthday cNAMERecord corbaIor dc disabledService domainAdmin domainAliasName "
        "domainBackupMX domainBlacklistIP domainBlacklistSender domainCurrentQuotaSize "
        "domainGlobalAdmin domainName domainPendingAliasName domainRecipientBccAddress "
        "domainSenderBccAddress domainStatus domainWhitelistIP domainWhitelistSender email "
        "enabledService gecos hasMember ipHostNumber ipNetmaskNumber ipNetworkNumber janetMailbox "
        "listAllowedUser listModerator listOwner macAddress mail mailBlacklistRecipient "
        "mailboxFolder mailboxFormat mailForwardingAddress mailHost mailingListID "
        "mailWhitelistRecipient mDRecord memberOfGroup mtaTransport mXRecord nSRecord "
        "recoveryEmail senderRelayHost shadowAddress sOARecord userManager "
        "userRecipientBccAddress userSenderBccAddress"
    ),
    "caseIgnoreListMatch": "homePostalAddress postalAddress registeredAddress",
    "caseIgnoreMatch": (
        "allowNets buildingName businessCategory c carLicense cn co departmentNumber description "
        "destinationIndicator disclaimer displayName dmdName dnQualifier documentIdentifier "
        "documentLocation documentPublisher documentTitle documentVersion drink employeeNumber "
        "employeeType generationQualifier givenName host houseIdentifier info initials "
        "ipServiceProtocol knowledgeInformation l name nisMapName o organizationalStatus ou "
        "personalTitle physicalDeliveryOfficeName postalCode postOfficeBox preferredLanguage "
        "pseudonym roomNumber serialNumber sn st street textEncodedORAddress title uid "
        "uniqueIdentifier userClass"
    ),
    "certificateExactMatch": "cACertificate userCertificate",
    "distinguishedNameMatch": (
        "aliasedObjectName associatedName distinguishedName dITRedirect documentAuthor manager "
        "member owner roleOccupant secretary seeAlso"
    ),
    "generalizedTimeMatch": "expiredDate",
    "integerMatch": (
        "domainCurrentAliasNumber domainCurrentListNumber domainCurrentUserNumber "
        "domainDefaultUserQuota domainMaxAliasNumber domainMaxListNumber domainMaxQuotaSize "
        "domainMaxUserNumber gidNumber ipProtocolNumber ipServicePort mailGID mailQuota "
        "mailQuotaMessageLimit mailUID maxMessageSize oncRpcNumber shadowExpire shadowFlag "
        "shadowInactive shadowLastChange shadowMax shadowMin shadowWarning uidNumber"
    ),
    "numericStringMatch": "internationaliSDNNumber x121Address",
    "objectIdentifierMatch": "objectClass supportedApplicationContext",
    "octetStringMatch": "userPassword",
    "presentationAddressMatch": "presentationAddress",
    "privateKeyMatch": "pKCS8PrivateKey",
    "protocolInformationMatch": "protocolInformation",
    "telephoneNumberMatch": "homePhone mobile pager telephoneNumber",
    "uniqueMemberMatch": "uniqueMember",
}
"""Attributes of the standards and of iRedMail's schema, by the rule that they are compared by."""
_RULES = {name.lower(): rule for rule, names_ in _STANDARD.items() for name in names_.split()}
# RFC 4514 lets a DN name its attributes by OID, and tools write either name of those that have two.
_ALIASES = {
    "0.9.2342.19200300.100.1.1": "uid",
    "0.9.2342.19200300.100.1.25": "dc",
    "0.9.2342.19200300.100.1.3": "mail",
    "2.5.4.10": "o",
    "2.5.4.11": "ou",
    "2.5.4.3": "cn",
    "2.5.4.4": "sn",
    "2.5.4.42": "givenname",
    "2.5.4.6": "c",
    "2.5.4.7": "l",
    "2.5.4.8": "st",
    "aliasedentryname": "aliasedobjectname",
    "commonname": "cn",
    "countryname": "c",
    "domaincomponent": "dc",
    "emailaddress": "email",
    "favouritedrink": "drink",
    "fax": "facsimiletelephonenumber",
    "friendlycountryname": "co",
    "gn": "givenname",
    "hometelephonenumber": "homephone",
    "localityname": "l",
    "mobiletelephonenumber": "mobile",
    "organizationalunitname": "ou",
    "organizationname": "o",
    "pagertelephonenumber": "pager",
    "pkcs9email": "email",
    "rfc822mailbox": "mail",
    "stateorprovincename": "st",
    "streetaddress": "street",
    "surname": "sn",
    "userid": "uid",
}


@lru_cache(_MOST_KNOWN)
def standard_equality(attribute: str) -> Equality:
    """Return the equality rule that standards and iRedMail's schema give an attribute.

    What they do not name is compared without regard to case and blanks, as nearly all is.
    """
    lowered = attribute.lower()
    name = _ALIASES.get(lowered, lowered)
    # The safe side: two values that are one by this rule are compared as one, and at worst a change
    # is thought to be none.
    return Equality(name, _RULES.get(name, "caseIgnoreMatch"))


def is_standard(attribute: str) -> bool:
    """Return whether an attribute is one of the standards or of iRedMail's schema."""
    return _ALIASES.get(attribute.lower(), attribute.lower()) in _RULES


def normalized(rule: str, value: bytes, equality_of: EqualityOf = standard_equality) -> bytes:
    """Return the normal form of a value; one that is none by its syntax stays as it is.

    Args:
        rule: Equality rule of its attribute, by name or OID.
        value: As it is stored or sent.
        equality_of: Returns the rules of the attributes that a DN names.
    """
    found = _NORMAL.get(rule)
    if found is not None:
        return found(value)
    if rule in _DN_RULES:
        return _normal_dn(value, equality_of)
    if rule in _DN_AND_UID_RULES:
        # RFC 4517, 4.2.31: the identifiers are equal, or both are absent.
        dn, uid = _OPTIONAL_UID.fullmatch(value).groups()  # type: ignore[union-attr]
        return _normal_dn(dn, equality_of) + (uid or b"")
    return value


def has_duplicates(
    rule: str, values: Sequence[bytes], equality_of: EqualityOf = standard_equality
) -> bool:
    """Return whether one of the values is equal to another one."""
    if len(values) < 2:
        return False
    return len({normalized(rule, value, equality_of) for value in values}) < len(values)


def normalized_components(dn: str, equality_of: EqualityOf = standard_equality) -> Parts:
    """Split a DN into normalized components; [] for a text that is no DN, and for the empty one.

    Args:
        dn: As it is written.
        equality_of: Returns the rules of the attributes in it.
    """
    return [_component(part, equality_of) for part in names.parsed_dn(dn)]


# Cached: entries share the components above them.
@lru_cache(_MOST_KNOWN)
def _component(part: tuple[tuple[str, str], ...], equality_of: EqualityOf) -> list[tuple[str, str]]:
    found = []
    for attribute, value in part:
        # slapd takes an option there, and forgets it.
        equality = equality_of(attribute.partition(";")[0])
        form = normalized(equality.rule, value.encode("utf-8", _KEPT), equality_of)
        # By the one name of the attribute: ``gn=`` and ``givenName=`` are the same.
        found.append((equality.name, form.decode("utf-8", _KEPT)))
    # RFC 4514: the order of the values within one component has no meaning.
    return sorted(found)


def _normal_dn(value: bytes, equality_of: EqualityOf) -> bytes:
    text = _decoded(value)
    parts = normalized_components(text, equality_of) if text else []
    # Only to be compared: a text in which no two different DNs are the same.
    return repr(parts).encode("utf-8", _KEPT) if parts else value


def _ignoring_case(value: bytes) -> bytes:
    # Nearly all values are, and need no Unicode tables.
    if value.isascii():
        return _blanks(value.lower())
    text = _decoded(value)
    # RFC 4518 prepares both sides: letters are folded before they are composed, as OpenLDAP does
    # it.
    return value if text is None else _blanks(_composed("".join(map(_lower, text))).encode())


def _exact(value: bytes) -> bytes:
    if value.isascii():
        return _blanks(value)
    text = _decoded(value)
    return value if text is None else _blanks(_composed(text).encode())


def _ascii_ignoring_case(value: bytes) -> bytes:
    return _blanks(value.lower()) or b" "


def _exact_ascii(value: bytes) -> bytes:
    return _blanks(value) or b" "


def _blanks(value: bytes) -> bytes:
    """Leave one of several blanks, none at the ends, but one where there is nothing else."""
    if b"  " in value or value[:1] == b" " or value[-1:] == b" ":
        return b" ".join(filter(None, value.split(b" "))) or b" "
    return value


def _decoded(value: bytes) -> str | None:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None


_LEFT_ALONE = re.compile(
    "([\uf900\uf901\U0001d60f-\U0001d6a3\U0001d6a8-\U0001d7c9\U0001d7ce-\U0001d7ff"
    "\U0002f800-\U0002fa1d])"
)
"""Characters that OpenLDAP's tables fail to take apart (2.5.13, all characters tried)."""


def _composed(text: str) -> str:
    pieces = _LEFT_ALONE.split(text)
    return "".join(
        piece if number % 2 else unicode.normalize("NFKC", piece)
        for number, piece in enumerate(pieces)
    )


@lru_cache(_MOST_KNOWN)
def _lower(character: str) -> str:
    """Return one letter as Unicode 3.2 has it in lower case, by the mapping of one to one."""
    if character == "\N{LATIN CAPITAL LETTER I WITH DOT ABOVE}":
        # Two characters in Python, but OpenLDAP maps one to one.
        return "i"
    # RFC 3454 is bound to Unicode 3.2, which Python keeps for IDNA: letters that came later have no
    # lower case to OpenLDAP.
    if unicode.category(character) not in {"Lu", "Lt"}:
        return character
    lowered = character.lower()
    # Python maps some letters to ones that Unicode 3.2 does not know yet.
    return lowered if unicode.category(lowered) != "Cn" else character


def _without(characters: bytes) -> Callable[[bytes], bytes]:
    return lambda value: value.translate(None, characters) or b" "


def _lines(value: bytes) -> bytes:
    lines = value.split(b"$")
    return b"$".join(_ignoring_case(line) for line in lines)


_TIME = re.compile(
    rb"(\d{4})(\d\d)(\d\d)(\d\d)(?:(\d\d)(\d\d)?)?(?:[.,](\d+))?(?:Z|([+-])(\d\d)(\d\d)?)"
)


def normalized_time(value: bytes) -> bytes | None:
    """Return the normal form of a time (generalizedTime); None: there is no such time."""
    found = _TIME.fullmatch(value)
    if not found:
        return None
    *numbers, fraction, sign, hours, minutes = found.groups()
    seconds = numbers[5] or b"0"
    try:
        year, month, day, hour, minute = (int(number or 0) for number in numbers[:5])
        when = datetime(year, month, day, hour, minute, tzinfo=UTC)
        # Added, not given to the constructor: 60, a leap second, is allowed.
        when += timedelta(seconds=int(seconds))
        # RFC 4517, 3.3.13: an offset is what local time is ahead of UTC.
        if sign:
            away = timedelta(hours=int(hours), minutes=int(minutes or 0))
            when += -away if sign == b"+" else away
    except (ValueError, OverflowError):
        return None
    # As text: a float would lose digits of a fraction.
    rest = (fraction or b"").rstrip(b"0")
    return when.strftime("%Y%m%d%H%M%S").encode() + (b"." + rest if rest else b"") + b"Z"


_OPTIONAL_UID = re.compile(rb"(.*?)(#'[01]*'B)?", re.DOTALL)

_NORMAL: dict[str, Callable[[bytes], bytes]] = {
    **dict.fromkeys(("caseIgnoreMatch", "2.5.13.2"), _ignoring_case),
    **dict.fromkeys(("caseExactMatch", "2.5.13.5"), _exact),
    **dict.fromkeys(("caseIgnoreIA5Match", "1.3.6.1.4.1.1466.109.114.2"), _ascii_ignoring_case),
    **dict.fromkeys(("caseExactIA5Match", "1.3.6.1.4.1.1466.109.114.1"), _exact_ascii),
    **dict.fromkeys(("caseIgnoreListMatch", "2.5.13.11"), _lines),
    **dict.fromkeys(("telephoneNumberMatch", "2.5.13.20"), _without(b" -")),
    **dict.fromkeys(("numericStringMatch", "2.5.13.8"), _without(b" ")),
    **dict.fromkeys(("generalizedTimeMatch", "2.5.13.27"), lambda v: normalized_time(v) or v),
    # Names of classes; with a schema, several names of a class are made one first.
    **dict.fromkeys(("objectIdentifierMatch", "2.5.13.0"), bytes.lower),
    **dict.fromkeys(("UUIDMatch", "1.3.6.1.1.16.2"), bytes.lower),
}
_DN_RULES = frozenset({"distinguishedNameMatch", "2.5.13.1"})
_DN_AND_UID_RULES = frozenset({"uniqueMemberMatch", "2.5.13.23"})
