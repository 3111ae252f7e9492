"""Patterns of the formats that a string is held to. Each allows only what its standard allows.

Some allow less: names are short and of ASCII letters, and no second is a leap second.
"""

from __future__ import annotations

_YEAR = "[0-9]{4}"
_LEAP_YEAR = "([0-9]{2}(0[48]|[2468][048]|[13579][26])|([02468][048]|[13579][26])00)"
_DATE = (
    f"({_YEAR}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)"
    f"|02-(0[1-9]|1[0-9]|2[0-8]))|{_LEAP_YEAR}-02-29)"
)
_HOUR, _MINUTE = "([01][0-9]|2[0-3])", "[0-5][0-9]"
_TIME = rf"{_HOUR}:{_MINUTE}:{_MINUTE}(\.[0-9]{{1,9}})?(Z|[+-]{_HOUR}:{_MINUTE})"
_CLOCK = "(T([0-9]{1,9}H([0-9]{1,9}M([0-9]{1,9}S)?)?|[0-9]{1,9}M([0-9]{1,9}S)?|[0-9]{1,9}S))"
_DAYS = "([0-9]{1,9}Y([0-9]{1,9}M([0-9]{1,9}D)?)?|[0-9]{1,9}M([0-9]{1,9}D)?|[0-9]{1,9}D)"
_LABEL = "[A-Za-z0-9]{1,20}(-[A-Za-z0-9]{1,20})?"
_NAME = "[A-Za-z][A-Za-z0-9]{0,19}"
_BYTE = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_IPV4 = rf"{_BYTE}(\.{_BYTE}){{3}}"
_WORD = "[0-9A-Fa-f]{1,4}"
_IPV6 = "|".join(
    [
        f"({_WORD}:){{7}}{_WORD}",
        *(f"({_WORD}:){{{n}}}(:{_WORD}){{1,{7 - n}}}" for n in range(1, 7)),
        f":(:{_WORD}){{1,7}}",
        f"({_WORD}:){{1,7}}:",
        "::",
    ]
)
_CHARACTER = "([A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})"
_HOST = rf"{_LABEL}(\.{_LABEL}){{0,3}}"
_REST = rf"(/{_CHARACTER}*)*(\?({_CHARACTER}|[/?])*)?(#({_CHARACTER}|[/?])*)?"
_URI = rf"[A-Za-z][A-Za-z0-9+.-]*:(//{_HOST}(:[0-9]{{1,5}})?{_REST}|{_CHARACTER}+{_REST})"
_EMAIL = rf"[A-Za-z0-9_+-]{{1,20}}(\.[A-Za-z0-9_+-]{{1,20}})?@{_LABEL}(\.{_LABEL})?\.{_NAME}"
_POINTER = "(/([^~/]|~[01])*)*"
_HEX = "[0-9A-Fa-f]"

FORMATS = {
    "date": _DATE,
    "time": _TIME,
    "date-time": f"{_DATE}T{_TIME}",
    "duration": f"P({_DAYS}{_CLOCK}?|{_CLOCK}|[0-9]{{1,9}}W)",
    "email": _EMAIL,
    "hostname": _HOST,
    "ipv4": _IPV4,
    "ipv6": _IPV6,
    "uri": _URI,
    "uri-reference": f"{_URI}|{_REST}",
    "uuid": f"{_HEX}{{8}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{4}}-{_HEX}{{12}}",
    "json-pointer": _POINTER,
    "relative-json-pointer": f"(0|[1-9][0-9]{{0,8}})(#|{_POINTER})",
    "idn-email": _EMAIL,
    "idn-hostname": _HOST,
    "iri": _URI,
    "iri-reference": f"{_URI}|{_REST}",
    "uri-template": _URI,
}
"""Formats that are none of the standard's are annotations."""

UNHELD_FORMATS = ("regex",)
