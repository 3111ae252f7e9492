"""URLs that may hold a password: what is wrong with one, and how it is shown. Neither tells it."""

from __future__ import annotations

import re
from urllib.parse import quote, urlsplit

RESERVED = "/?#[]@"
"""Characters that end a user name or password in a URL."""

OPTION = re.compile(r"[a-z_]+=[^&]*")
SHOWN_OPTIONS = frozenset({"db", "protocol", "ssl_cert_reqs", "ssl_check_hostname"})
NAMED_OPTIONS = SHOWN_OPTIONS | {"password", "username"}
ENCODE = "percent-encode the special characters of a password: # is %23, / is %2F, ? is %3F"


def fault_of_redis_url(url: str) -> str | None:
    """Return why Redis cannot be reached by this URL; None where it can."""
    scheme, _, rest = url.partition("://")
    if scheme not in ("redis", "rediss", "unix"):
        return "begins with redis://, rediss:// or unix://"
    fault = fault_of(url)
    if fault is not None:
        return fault
    parts = urlsplit(url)
    options = [each for each in parts.query.split("&") if each]
    if scheme == "unix":
        is_cut = bool(parts.netloc) and not parts.netloc.endswith("@")
    else:
        is_cut = not re.fullmatch(r"/?[0-9]*/?", parts.path) or parts.hostname == ""
    if is_cut or parts.fragment or "#" in rest or not all(map(OPTION.fullmatch, options)):
        return _encoding_hint(rest)
    return None


def fault_of(url: str) -> str | None:
    """Return why this is no URL of a host; None where it is one."""
    rest = url.partition("://")[2]
    try:
        _ = urlsplit(url).port
    except ValueError:
        return _encoding_hint(rest)
    return None if rest and not re.search(r"\s", url) else "names no host"


def masked(url: str) -> str:
    """Return the URL without its password and without values of options, which may be one."""
    scheme, separator, _rest = url.partition("://")
    if not separator or _is_misread(url):
        return f"{scheme}://***" if separator else "***"
    parts = urlsplit(url)
    user, at, place = parts.netloc.rpartition("@")
    if at:
        place = f"{user.partition(':')[0]}:***@{place}" if ":" in user else f"***@{place}"
    options = "&".join(map(_masked_option, parts.query.split("&"))) if parts.query else ""
    return f"{scheme}://{place}{parts.path}{'?' if options else ''}{options}"


def masked_address(url: str) -> str:
    """Return scheme and host alone: the path of a webhook is its password."""
    scheme, _, rest = masked(url).partition("://")
    place, slash, _path = re.split(r"[?]", rest)[0].partition("/")
    return f"{scheme}://{place}" + ("/***" if slash and _path else "")


def _is_misread(url: str) -> bool:
    """Return whether a part of the password may stand where it is no password any more."""
    scheme = url.partition("://")[0]
    fault = fault_of_redis_url(url) if scheme in ("redis", "rediss", "unix") else fault_of(url)
    if fault is not None:
        return True
    parts = urlsplit(url)
    is_behind = "@" in parts.query + parts.fragment and "@" not in parts.netloc
    return is_behind and ":" in parts.netloc


def _masked_option(option: str) -> str:
    name, _, value = option.partition("=")
    if name in SHOWN_OPTIONS and value.isalnum():
        return option
    return f"{name}=***" if name in NAMED_OPTIONS else "***"


def _encoding_hint(rest: str) -> str:
    """Name the character in front of the last @ that ends a password early."""
    credentials = rest.rpartition("@")[0]
    found = next((each for each in credentials if each in RESERVED), None)
    if found is None:
        return f"cannot be read; {ENCODE}"
    return (
        f"its user name or password holds {found!r}, which ends that part of a URL: write it as "
        f"{quote(found, safe='')}"
    )
