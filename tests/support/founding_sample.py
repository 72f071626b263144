"""What the first published client does, in the names of April 2016 or in today's.

Run as a program of its own: ``founding_sample.py URL ADMIN PASSWORD old|new``. It ends with 1 when
a step fails.
"""

import sys

import requests

OLD = {"cn": "Zhang Huangbin", "preferredLanguage": "en_US", "mailQuota": "1024"}
NEW = {"name": "Zhang Huangbin", "language": "en_US", "quota": "1024"}


def main(url: str, admin: str, password: str, names: str) -> None:
    """Log in, create a domain and a user in it, delete both."""
    answer = requests.post(
        url + "/login", data={"username": admin, "password": password}, timeout=60
    )
    data = answer.json()
    if not data["success"]:
        sys.exit("login failed: " + data["msg"])
    cookies = answer.cookies
    profile = {"password": "password_for_zhb", **(OLD if names == "old" else NEW)}
    for method, path, form in (
        ("POST", "/domain/test.com", {"name": "Test", "defaultQuota": "1024"}),
        ("POST", "/user/zhb@test.com", profile),
        ("DELETE", "/user/zhb@test.com", None),
        ("DELETE", "/domain/test.com", None),
    ):
        answer = requests.request(method, url + path, cookies=cookies, data=form, timeout=60)
        print(method, path, answer.json(), flush=True)
        if not answer.json()["_success"]:
            sys.exit(1)
        # The caller looks at the directory, and lets us go on.
        input()


if __name__ == "__main__":
    main(*sys.argv[1:])
