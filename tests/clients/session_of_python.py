"""A session with the client that openapi-python-client makes: `URL ADDRESS PASSWORD`.

Prints what it reads, as JSON.
"""

import json
import sys
from typing import Any

from generated.api.aliases import alias_create
from generated.api.domains import domain_create, domain_delete, domain_update
from generated.api.ldif import ldif_user
from generated.api.session import login, logout
from generated.api.users import (
    user_create,
    user_delete,
    user_get,
    user_params,
    user_update,
    users_list,
    users_list_params,
)
from generated.client import Client
from generated.models import (
    AliasCreate,
    Changed,
    DomainCreate,
    DomainUpdate,
    Failure,
    Login,
    NamesAnswer,
    Success,
    TextAnswer,
    UserAnswer,
    UserCreate,
    UserParamsAnswer,
    UsersAnswer,
    UsersParamsAnswer,
    UserUpdate,
    YesNo,
)

url, address, password = sys.argv[1:]
client = Client(base_url=url, raise_on_unexpected_status=True)


def done(answer: Any, kind: type = Changed) -> Any:
    assert isinstance(answer, kind), answer
    return answer


done(login.sync(client=client, body=Login(username=address, password=password)), Success)
done(domain_create.sync("example.com", client=client, body=DomainCreate(quota=2048)))
again = done(domain_create.sync("example.com", client=client, body=DomainCreate()), Failure)

ann = UserCreate(name="Ann", password="correct horse", quota=512)
tried = done(user_create.sync("ann@example.com", client=client, body=ann, dry_run=YesNo.YES))
done(user_create.sync("ann@example.com", client=client, body=ann))
changed = UserUpdate(quota=768, aliases=["a@example.com"], transport="", telephone_number=[])
done(user_update.sync("ann@example.com", client=client, body=changed))
read = done(user_get.sync("ann@example.com", client=client), UserAnswer).field_data
params = done(user_params.sync("ann@example.com", client=client), UserParamsAnswer).field_data
# What is read can be written back.
back = UserUpdate.from_dict(params.to_dict())
done(user_update.sync("ann@example.com", client=client, body=back))
views = users_list_params.sync("example.com", client=client, fields=["quota"])

done(domain_update.sync("example.com", client=client, body=DomainUpdate(default_quota=100)))
team = AliasCreate(name="Team", members=["ann@example.com", "bob@example.org"])
done(alias_create.sync("team@example.com", client=client, body=team))
users = done(users_list.sync("example.com", client=client, fields=["cn", "mailQuota"]), UsersAnswer)
names = done(users_list.sync("example.com", client=client, email_only=YesNo.YES), NamesAnswer)
ldif = done(ldif_user.sync("ann@example.com", client=client), TextAnswer).field_data

done(user_delete.sync("ann@example.com", client=client))
done(domain_delete.sync("example.com", client=client))
done(logout.sync(client=client), Success)
json.dump(
    {
        "refused": again.field_msg,
        "tried": tried.field_data.ldif,
        "read": {"quota": read.mail_quota, "aliases": read.shadow_address},
        "users": {
            mail: user.to_dict() for mail, user in users.field_data.additional_properties.items()
        },
        "params": {"quota": params.quota, "aliases": params.aliases},
        "quotas": {
            mail: one.quota
            for mail, one in done(views, UsersParamsAnswer).field_data.additional_properties.items()
        },
        "names": names.field_data,
        "ldif": ldif,
    },
    sys.stdout,
)
