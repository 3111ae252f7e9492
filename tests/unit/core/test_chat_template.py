"""Chat templates: each feature renders as in transformers, and nothing that fails goes unsaid."""

from __future__ import annotations

from typing import Any

import pytest

from headrace.core import chat_template
from headrace.core.chat_template import ChatTemplate, TemplateRefused
from tests.renderers import Renderers, freeze_time

CHAT = [
    {"role": "system", "content": "Be <brief> & 'kind'."},
    {"role": "user", "content": "Grüße, 東京 🙂!"},
    {"role": "assistant", "content": " Well.\n"},
    {"role": "user", "content": "Good."},
]

RENDERED = {
    "the time": "{{ strftime_now('%d %b %Y %H:%M') }}",
    "the time where there is one": (
        "{% if strftime_now is defined %}{{ strftime_now('%Y') }}{% else %}2024{% endif %}"
    ),
    "a marked answer": (
        "{% for m in messages %}{% generation %}{{ m.content }}{% endgeneration %}\n{% endfor %}"
    ),
    "a marked answer with dashes": "{%- generation -%}\n a \n{%- endgeneration -%}",
    "a name set in a marked answer": (
        "{% set x = 1 %}{% generation %}{% set x = 2 %}{{ x }}{% endgeneration %}{{ x }}"
    ),
    "JSON": "{{ messages | tojson }}",
    "JSON on several lines": "{{ messages | tojson(indent=2) }}",
    "JSON with all arguments": (
        "{{ {'b': 'ü<', 'a': 1}|tojson(ensure_ascii=true, separators=(',', ':'), sort_keys=true) }}"
    ),
    "JSON in order": "{{ {'b': 1, 'a': none, 'c': true}|tojson }}",
    "special tokens": (
        "{{ bos_token }}{{ eos_token }}{{ unk_token }}{{ sep_token }}"
        "{{ pad_token }}{{ cls_token }}{{ mask_token }}"
    ),
    "no tools": "{{ tools is none }} {{ documents is none }} {{ tools is defined }}",
    "the answer's turn": "{{ add_generation_prompt }}",
    "loop controls": (
        "{% for m in messages %}{% if m.role == 'system' %}{% continue %}{% endif %}"
        "{{ loop.index }}/{{ loop.length }} {{ loop.last }} {{ loop.previtem.role }}"
        "{% if loop.index == 3 %}{% break %}{% endif %}{% else %}none{% endfor %}"
    ),
    "a loop with a condition": (
        "{% for m in messages if m.role == 'user' %}{{ loop.revindex }}{% endfor %}"
    ),
    "a loop over nothing": "{% for m in nothing %}{{ m }}{% else %}none{% endfor %}",
    "a recursive loop": (
        "{% for x in [1, [2, [3]]] recursive %}{{ loop(x) if x is iterable else x }}{% endfor %}"
    ),
    "a macro": "{% macro f(a, b=2) %}[{{ a }}{{ b }}]{% endmacro %}{{ f(1) ~ f(3, b=4) }}",
    "a call block": ("{% macro f() %}<{{ caller() }}>{% endmacro %}{% call f() %}in{% endcall %}"),
    "a namespace": (
        "{% set ns = namespace(found=false, self=1) %}{% for m in messages %}"
        "{% set ns.found = ns.found or m.role == 'user' %}{% endfor %}{{ ns.found }}{{ ns.self }}"
    ),
    "dictionaries": "{{ dict(a=1, **{'b': 2}) }}{{ dict.fromkeys(['x'], 0) }}",
    "operators": (
        "{{ 1 + 2 }}{{ 'a' + 'b' }}{{ [1] + [2] }}{{ 3 * 'ab' }}{{ 2 ** 10 }}{{ 2 ** -1 }}"
        "{{ 2.5 * 2 }}{{ 1 ~ none ~ 'x' ~ 2.5 }}{{ '%s-%d' % ('a', 3) }}{{ 7 // 2 }}{{ -3 % 5 }}"
    ),
    "methods": "{{ ' a b '.strip().split() }}{{ 'abc'[::-1] }}{{ messages[-1]['content'][:3] }}",
    "trimmed blocks": "{% if true %}\n  a\n  {% endif %}\n  b\n",
    "filters": "{{ messages|map(attribute='role')|unique|join(',')|upper }}{{ '<'|e }}",
    "blocks that are set": "{% set x %}{% filter upper %}a{% endfilter %}b{% endset %}{{ x }}",
    "more variables": "{{ enable_thinking is defined and enable_thinking is false }}{{ other }}",
    "Phi-4's way": (
        "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '<|im_sep|>' + "
        "message['content'] + '<|im_end|>' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ '<|im_start|>assistant<|im_sep|>' }}{% endif %}"
    ),
}

REFUSED = {
    "{{ raise_exception('roles must\nalternate') }}": "^roles must alternate$",
    "{{ raise_exception(messages) }}": "role",
    "{{ raise_exception('x' * 5000) }}": "^x{300}…$",
    "{{ raise_exception('\\ud800') }}": r"^\?$",
    "{% for %}": "^line 1: Expected an expression",
    "a\n{% endgeneration %}": "^line 2: .*endgeneration",
    "{% generation %}": "^line 1: Unexpected end of template",
    "{{ 'a'|no_filter }}": "No filter named 'no_filter'",
    "{{ a.b.c }}": "'a' is undefined",
    "{{ nothing() }}": "'nothing' is undefined",
    "{{ messages + 1 }}": "^TypeError: ",
    "{{ 1 / 0 }}": "^ZeroDivisionError: ",
    "{{ 'a'.index('b') }}": "^ValueError: ",
    "{{ {}['a']['b'] }}": "no attribute 'a'|has no element",
    "{{ nothing | tojson }}": "^TypeError: .*Undefined",
    "{{ strftime_now(3) }}": "^TypeError: ",
    "{{ ''.__class__.__mro__ }}": "unsafe",
    "{{ messages.append(1) }}": "unsafe",
    "{% set ns = namespace(_a=1) %}": "begins with _",
    "{% set ns = namespace() %}{% set ns.__class__ = 1 %}": "begins with _",
    "{% include 'other' %}": "^TypeError: no loader",
    "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}": "^RecursionError: ",
    "{% for a in [1] %}" * 25 + "{% endfor %}" * 25: "^SyntaxError: ",
    "{{ " + "(" * 3000 + "1" + ")" * 3000 + " }}": "^RecursionError: ",
    "{{ '\\ud800' }}": "^half a surrogate pair in its text$",
    "{{ range(10 ** 9) }}": "^OverflowError: ",
}

ENDLESS = [
    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "{% for a in range(99999) %}{% for b in range(99999) %}{% continue %}{% endfor %}{% endfor %}",
    "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{{ f(n - 1) }}{% endif %}{% endmacro %}{{ f(60) }}",
    "{% for a in [1] recursive %}{% if loop.depth < 60 %}{{ loop([1, 1]) }}{% endif %}{% endfor %}",
    "{% set x %}{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}"
    "{% endfor %}{% endset %}",
]

ENORMOUS = [
    "{% for a in range(99999) %}{{ 'x' * 1000 }}{% endfor %}",
    "{{ 'x' * 10 ** 9 }}",
    "{{ 10 ** 9 * 'x' }}",
    "{{ [0] * 10 ** 9 }}",
    "{{ 10 ** (10 ** 9) }}",
    "{% set ns = namespace(x=7) %}{% for a in range(99) %}{% set ns.x = ns.x * ns.x %}{% endfor %}",
    *(
        "{% set ns = namespace(x='x') %}{% for a in range(99) %}"
        f"{{% set ns.x = ns.x {operator} ns.x %}}{{% endfor %}}"
        for operator in "+~"
    ),
]


@pytest.mark.parametrize("feature", RENDERED)
def test_a_feature_renders_as_in_transformers(
    feature: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    freeze_time(monkeypatch)
    renderers, kwargs = Renderers(RENDERED[feature]), {"enable_thinking": False, "pad_token": "#"}

    expected = renderers.expected(CHAT, kwargs)

    assert expected is not None
    assert renderers.text(CHAT, kwargs) == expected


@pytest.mark.parametrize("source", REFUSED)
def test_what_fails_is_said_in_a_line_where_transformers_raises(source: str) -> None:
    with pytest.raises(TemplateRefused, match=REFUSED[source]) as raised:
        ChatTemplate(source).render({"messages": CHAT})

    assert "\n" not in str(raised.value)
    assert str(raised.value).encode()


@pytest.mark.parametrize("source", [source for source in REFUSED if "ud800" not in source])
def test_nothing_is_refused_that_transformers_takes(source: str) -> None:
    assert Renderers(source).expected(CHAT, {}) is None


@pytest.mark.parametrize("source", ENDLESS)
def test_a_template_that_does_not_end_is_stopped(
    source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat_template, "MOST_CPU_S", 0.05)

    with pytest.raises(TemplateRefused, match="it takes too long"):
        ChatTemplate(source).render({})


def test_a_long_conversation_may_take_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chat_template, "FIRST_CPU_S", 0.0)
    look_back = "{% for a in messages %}{% for b in messages %}{% endfor %}{% endfor %}done"

    assert ChatTemplate(look_back).render({"messages": CHAT * 20}) == "done"
    monkeypatch.setattr(chat_template, "MESSAGE_CPU_S", 0.0)
    with pytest.raises(TemplateRefused, match="it takes too long"):
        ChatTemplate(look_back).render({"messages": CHAT * 20})


@pytest.mark.parametrize("source", ENORMOUS)
def test_a_template_that_fills_the_memory_is_stopped(source: str) -> None:
    with pytest.raises(TemplateRefused, match=r"too (long|large)"):
        ChatTemplate(source).render({})


def test_a_variable_may_have_any_name() -> None:
    names: dict[str, Any] = {"self": 1, "context": 2, "headrace budget": 3, "range": 4, "": 5}

    assert ChatTemplate("{{ context }}{{ range }}").render(names) == "24"
