"""Chat templates, rendered as transformers renders them but without transformers.

The reference is `transformers.utils.chat_template_utils`: the same tags, filters and functions. In
addition a rendering is bounded here, since it runs inside the API and templates come with models.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from jinja2 import TemplateError, TemplateSyntaxError, nodes
from jinja2.exceptions import SecurityError
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment
from jinja2.utils import Namespace

from headrace.core.unicode import is_unicode

FIRST_CPU_S, MESSAGE_CPU_S, MOST_CPU_S = 1.0, 0.005, 10.0
"""CPU time of a rendering, for each of its messages, and at most.

Most published templates take 30 us a message, those that look back at all messages up to 4 ms. A
short conversation is rendered in the API's only thread, so it may not take long.
"""

MOST_CHARACTERS = 10_000_000
"""Longest text that a rendering, or an operator inside of it, may make."""

MOST_BITS = 4096
"""Largest integer that an operator may make."""

_LONGEST_REASON = 300
_BUDGET = "headrace budget"
"""Name of the budget among the variables: no template can spell it."""


class TemplateRefused(ValueError):
    """Raised when a template cannot be parsed or fails; the text is one line."""


class ChatTemplate:
    """A parsed template. Raises `TemplateRefused` for one that cannot be parsed."""

    def __init__(self, source: str) -> None:
        try:
            tree = _ENVIRONMENT.parse(source)
            _bound(tree)
            code = _ENVIRONMENT.compile(tree)
        except Exception as error:  # the compiler of Python has its own limits
            raise TemplateRefused(_reason(error)) from error
        template_class = _ENVIRONMENT.template_class
        self._template = template_class.from_code(
            _ENVIRONMENT, code, _ENVIRONMENT.make_globals(None)
        )

    def render(self, variables: Mapping[str, Any]) -> str:
        """Raises `TemplateRefused` for whatever goes wrong, and for text that UTF-8 cannot say."""
        budget, pieces, length = _Budget(len(variables.get("messages", ()))), [], 0
        try:
            for piece in self._template.generate({**variables, _BUDGET: budget}):
                length += len(piece)
                _require(length <= MOST_CHARACTERS, "its text is too long")
                pieces.append(piece)
            text = "".join(pieces)
            _require(is_unicode(text), "half a surrogate pair in its text")
        except Exception as error:  # a template can raise whatever Python can
            raise TemplateRefused(_reason(error)) from error
        return text


class _Budget:
    """The CPU time of one rendering of a conversation with this many messages."""

    def __init__(self, messages: int) -> None:
        allowed_s = min(FIRST_CPU_S + messages * MESSAGE_CPU_S, MOST_CPU_S)
        self._until = time.thread_time() + allowed_s

    def check(self) -> None:
        _require(time.thread_time() < self._until, "it takes too long")


class _Generation(Extension):
    """`{% generation %}` marks an answer for training. Its body renders as a block of its own."""

    tags = {"generation"}  # noqa: RUF012 - jinja declares it as a plain set

    def parse(self, parser: Parser) -> nodes.Node:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.CallBlock(self.call_method("_render"), [], [], body).set_lineno(line)

    def _render(self, caller: Callable[[], str]) -> str:
        return caller()


class _Environment(ImmutableSandboxedEnvironment):
    """A sandbox whose loops, calls and operators heed the bounds."""

    intercepted_binops = frozenset({"+", "*", "**"})
    turn = object()
    """Each turn of a loop calls it, so that `call` checks the budget."""

    def __init__(self) -> None:
        super().__init__(
            trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, loopcontrols]
        )
        self.filters["tojson"] = _tojson
        self.globals |= {
            "raise_exception": _raise_exception,
            "strftime_now": _strftime_now,
            "dict": _Dict(),
            "namespace": _Namespace,
        }

    def call(__self, __context: Context, __obj: Any, *args: Any, **kwargs: Any) -> Any:
        __context.parent[_BUDGET].check()
        if __obj is _Environment.turn:
            return None
        return super().call(__context, __obj, *args, **kwargs)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        if operator == "*":
            _require_small_product(left, right)
        if operator == "**":
            _require_small_power(left, right)
        return _small(super().call_binop(context, operator, left, right))

    def concat_parts(self, parts: Sequence[Any]) -> Any:
        """`~`, which jinja does not let a sandbox intercept."""
        return _small("".join(map(str, parts)))


class _Dict:
    """`dict` without the attributes of a class."""

    def __call__(self, *args: Any, **kwargs: Any) -> dict[Any, Any]:
        return dict(*args, **kwargs)

    def fromkeys(self, *args: Any) -> dict[Any, Any]:
        return dict.fromkeys(*args)


class _Namespace(Namespace):
    """`namespace` without names that lead into Python."""

    def __init__(*args: Any, **kwargs: Any) -> None:
        own, *rest = args  # as jinja has it: `namespace(self=1)` is fine
        attributes = dict(*rest, **kwargs)
        for name in attributes:
            _refuse_private(name)
        Namespace.__init__(own, attributes)

    def __setitem__(self, name: str, value: Any) -> None:
        _refuse_private(name)
        super().__setitem__(name, value)


def _bound(tree: nodes.Template) -> None:
    """Has each turn of a loop and each `~` go through `call`."""
    for loop in list(tree.find_all(nodes.For)):
        loop.body.insert(0, nodes.ExprStmt(_call("turn")).set_lineno(loop.lineno))
    for concat in list(tree.find_all(nodes.Concat)):
        concat.nodes = [_call("concat_parts", nodes.List(concat.nodes))]


def _call(method: str, *arguments: nodes.Expr) -> nodes.Call:
    return nodes.Call(nodes.EnvironmentAttribute(method), [*arguments], [], None, None)


def _require(is_met: bool, complaint: str) -> None:
    if not is_met:
        raise SecurityError(complaint)


def _require_small_product(left: Any, right: Any) -> None:
    for value, count in ((left, right), (right, left)):
        if hasattr(value, "__len__") and isinstance(count, int):
            _require(len(value) * count <= MOST_CHARACTERS, "it makes a text too long")


def _require_small_power(base: Any, exponent: Any) -> None:
    if isinstance(base, int) and isinstance(exponent, int):
        _require(base.bit_length() * exponent <= MOST_BITS, "it makes a number too large")


def _small(value: Any) -> Any:
    if isinstance(value, int):
        _require(value.bit_length() <= MOST_BITS, "it makes a number too large")
    elif hasattr(value, "__len__"):
        _require(len(value) <= MOST_CHARACTERS, "it makes a text too long")
    return value


def _refuse_private(name: Any) -> None:
    is_private = isinstance(name, str) and name.startswith("_")
    _require(not is_private, f"a namespace takes no name that begins with _: {name!r}")


def _raise_exception(message: str) -> None:
    raise TemplateError(message)


def _strftime_now(form: str) -> str:
    return datetime.now().strftime(form)


def _tojson(
    value: Any,
    ensure_ascii: bool = False,
    indent: int | str | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,
) -> str:
    """Plain JSON: jinja's own filter escapes HTML and sorts keys."""
    return json.dumps(
        value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys
    )


def _reason(error: Exception) -> str:
    """One line of UTF-8, however long and strange the error's own text is."""
    text = str(error.message if isinstance(error, TemplateError) else error)
    if isinstance(error, TemplateSyntaxError):
        text = f"line {error.lineno}: {text}"
    if not isinstance(error, TemplateError):
        text = f"{type(error).__name__}: {text}"
    line = " ".join(text.split()).encode(errors="replace").decode()
    return line if len(line) <= _LONGEST_REASON else f"{line[:_LONGEST_REASON]}…"


_ENVIRONMENT = _Environment()
