"""All pairs."""

from tests.races.addresses import ADDRESSES
from tests.races.domains import DOMAINS
from tests.races.policies import POLICIES
from tests.races.references import REFERENCES
from tests.races.rights import RIGHTS

PAIRS = (*REFERENCES, *ADDRESSES, *DOMAINS, *RIGHTS, *POLICIES)
