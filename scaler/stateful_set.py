"""The StatefulSet of the workers, as the API server of Kubernetes knows it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from headrace.core.errors import SettingsError, Unavailable
from headrace.core.settings import Settings


@dataclass(frozen=True, slots=True)
class Scale:
    """How many pods are wanted. `version` is another one after each change, whoever made it."""

    replicas: int
    version: str


class StatefulSet:
    """Each call takes `timeout_s` at most, and raises `Unavailable`, saying why, where it fails."""

    def __init__(self, api: Any, name: str, namespace: str, timeout_s: float) -> None:
        self.name = name
        self._api = api
        self._call = {"name": name, "namespace": namespace, "_request_timeout": timeout_s}

    def read(self) -> Scale:
        with self._telling("get"):
            answer = self._api.read_namespaced_stateful_set_scale(**self._call)
            return Scale(answer.spec.replicas or 0, answer.metadata.resource_version)

    def resize(self, replicas: int, seen: Scale) -> None:
        """Refused, without harm, where it has changed since it was `seen`."""
        body = {"metadata": {"resourceVersion": seen.version}, "spec": {"replicas": replicas}}
        with self._telling("patch"):
            self._api.patch_namespaced_stateful_set_scale(**self._call, body=body)

    @contextmanager
    def _telling(self, verb: str) -> Iterator[None]:
        from kubernetes.client.exceptions import ApiException

        try:
            yield
        except ApiException as error:
            raise Unavailable(self._reason(verb, error.status, error.reason)) from error
        except Exception as error:  # of the connection, the credentials, or what was answered
            raise Unavailable(f"the API server does not answer: {error}") from error

    def _reason(self, verb: str, status: int, reason: str) -> str:
        which = f"the StatefulSet {self.name} in namespace {self._call['namespace']}"
        reasons = {
            401: "the API server does not know who we are (401)",
            403: f"a Role must allow the verb `{verb}` on `statefulsets/scale` of {which} (403)",
            404: f"there is no such thing as {which} (404)",
            409: f"{which} was changed by somebody else meanwhile (409)",
        }
        return reasons.get(status, f"the API server answers {status} {reason} to `{verb}`")


def find_stateful_set(settings: Settings) -> StatefulSet:
    """By the pod's own account, or else by the kubeconfig.

    Raises `SettingsError` where there is neither, or no client.
    """
    try:
        from kubernetes import client
    except ImportError as error:
        raise SettingsError(
            "HEADRACE_SCALER_FLEET: Kubernetes needs a client: pip install 'headrace[kubernetes]'"
        ) from error
    # What fails is tried again at the next tick, not within it.
    configuration = client.Configuration(retries=False)
    _find_cluster(configuration)
    api = client.AppsV1Api(client.ApiClient(configuration))
    name, namespace = settings.scaler_statefulset, settings.scaler_namespace
    return StatefulSet(api, name, namespace, timeout_s=settings.scaler_tick_s)


def _find_cluster(configuration: Any) -> None:
    from kubernetes import config

    try:
        config.load_incluster_config(client_configuration=configuration)
    except config.ConfigException as outside:
        try:
            config.load_kube_config(client_configuration=configuration)
        except config.ConfigException as error:
            raise SettingsError(
                f"HEADRACE_SCALER_FLEET: no cluster is known: {outside} {error}"
            ) from error
