"""Which key opens which route."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from api.access import LOCAL, PUBLIC, SCOPES, scope_of
from api.app import create_app
from headrace.core.api_key import Scope
from headrace.core.api_key_store import ApiKeyStore
from headrace.core.errors import SettingsError
from headrace.core.settings import Settings
from tests.bench import Bench
from tests.unit.api.callers import Caller, code_of


def address(rule: Rule) -> str:
    """An address of the route that names nothing which is there."""
    return re.sub(r"<.*?>", "nobody", re.sub(r"<int:.*?>", "1", rule.rule))


def routes(client: FlaskClient) -> Iterator[tuple[str, Rule]]:
    """Each of them with each of its methods; OPTIONS is answered for all of an address at once."""
    for rule in client.application.url_map.iter_rules():
        for method in sorted((rule.methods or set()) - {"OPTIONS"}):
            yield method, rule


def test_every_route_names_its_scope(client: FlaskClient) -> None:
    endpoints = {rule.endpoint for _method, rule in routes(client)}
    named = PUBLIC | SCOPES.keys()
    unnamed = {name for name in endpoints if name not in named and name.split(".")[0] not in named}
    assert unnamed == set(), "add these to api/access.py"


def test_the_table_names_no_route_that_is_not_there(client: FlaskClient) -> None:
    endpoints = {rule.endpoint for _method, rule in routes(client)}
    blueprints = {endpoint.split(".")[0] for endpoint in endpoints}
    assert (PUBLIC | LOCAL | SCOPES.keys()) <= (endpoints | blueprints)


def test_a_route_in_no_table_is_for_administrators() -> None:
    assert scope_of("brand.new") is Scope.ADMIN


def test_without_any_key_everybody_may_do_everything(client: FlaskClient) -> None:
    assert client.post("/v1/jobs", json={"prompt": "x"}).status_code == 202
    assert client.get("/v1/jobs").status_code == 200
    assert client.get("/rq/0/data/queues.json").status_code == 200
    assert client.get("/nowhere").status_code == 404


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer none"}, {"Authorization": "nonsense"}]
)
def test_once_there_is_a_key_nothing_but_health_answers_without(
    client: FlaskClient, api_keys: ApiKeyStore, headers: dict[str, str]
) -> None:
    Caller(client, api_keys, "alice")

    for method, rule in routes(client):
        response = client.open(address(rule), method=method, headers=headers)
        if rule.endpoint in PUBLIC | LOCAL:
            assert response.status_code == 200, (method, rule)
        else:
            assert response.status_code == 401, (method, rule)
            assert response.headers["WWW-Authenticate"].startswith(("Bearer", "Basic"))


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/nowhere"), ("PUT", "/v1/jobs"), ("GET", "/v1/chat/completions")]
)
def test_who_has_no_key_is_not_told_what_there_is(
    client: FlaskClient, api_keys: ApiKeyStore, method: str, path: str
) -> None:
    alice = Caller(client, api_keys, "alice")

    assert client.open(path, method=method).status_code == 401
    assert alice.ask(method, path).status_code in (404, 405)


def test_each_scope_opens_its_own_routes_and_admin_opens_all(
    client: FlaskClient, api_keys: ApiKeyStore
) -> None:
    holders = {scope: Caller(client, api_keys, scope.value, scope) for scope in Scope}

    for method, rule in routes(client):
        if rule.endpoint in PUBLIC | LOCAL:
            continue
        wanted = scope_of(rule.endpoint)
        for scope, holder in holders.items():
            response = holder.ask(method, address(rule))
            response.close()  # files of the dashboard
            is_open = scope in (wanted, Scope.ADMIN)
            assert (response.status_code == 403) is not is_open, (scope, method, rule)


def test_a_refusal_has_openais_body(client: FlaskClient, api_keys: ApiKeyStore) -> None:
    reader = Caller(client, api_keys, "reader", Scope.READ)

    nobody = client.get("/v1/models")
    assert nobody.json is not None
    assert nobody.json["error"] == {
        "message": "this API needs an API key",
        "type": "invalid_request_error",
        "param": None,
        "code": "invalid_api_key",
    }
    refused = reader.submit()
    assert (refused.status_code, code_of(refused)) == (403, "insufficient_scope")
    assert "submit" in refused.text


def test_refusals_are_counted(client: FlaskClient, api_keys: ApiKeyStore) -> None:
    Caller(client, api_keys, "reader", Scope.READ).submit()
    client.post("/v1/jobs", json={"prompt": "x"})

    assert 'headrace_rejected_total{reason="unauthorised"} 2.0' in client.get("/metrics").text


@pytest.fixture
def exposed(settings: Settings, redis_url: str, bench: Bench) -> Settings:
    """An API that other machines reach."""
    return settings.model_copy(update={"redis_url": redis_url, "host": "0.0.0.0"})


def test_beyond_loopback_the_app_does_not_start_without_a_key(
    exposed: Settings, api_keys: ApiKeyStore
) -> None:
    with pytest.raises(SettingsError, match="headrace keys create"):
        create_app(exposed)

    api_keys.create("alice", frozenset(Scope))
    assert create_app(exposed).test_client().get("/v1/jobs").status_code == 401


def test_beyond_loopback_metrics_are_for_administrators(
    exposed: Settings, api_keys: ApiKeyStore
) -> None:
    api_keys.create("first", frozenset({Scope.READ}))
    client = create_app(exposed).test_client()

    assert client.get("/metrics").status_code == 401
    assert Caller(client, api_keys, "alice").ask("GET", "/metrics").status_code == 403
    assert Caller(client, api_keys, "root", Scope.ADMIN).ask("GET", "/metrics").status_code == 200


def test_metrics_are_not_read_through_another_sites_name(
    client: FlaskClient, api_keys: ApiKeyStore
) -> None:
    Caller(client, api_keys, "alice")
    assert client.get("/metrics", headers={"Host": "evil.example"}).status_code == 401


def test_who_allows_anonymous_callers_gets_them_until_there_is_a_key(
    exposed: Settings, api_keys: ApiKeyStore
) -> None:
    allowing = exposed.model_copy(update={"allow_anonymous": True})
    assert create_app(allowing).test_client().get("/v1/jobs").status_code == 200

    api_keys.create("alice", frozenset(Scope))
    assert create_app(allowing).test_client().get("/v1/jobs").status_code == 401
