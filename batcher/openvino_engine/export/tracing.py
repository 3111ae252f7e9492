"""A transformers model as an OpenVINO graph whose inputs are also its caches and its weights.

The graph is traced with zeros that take no memory, so that no weight is copied into it: each
becomes a constant later, one at a time, in whatever form it is to be held.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import openvino
import torch
from openvino.frontend import FrontEndManager
from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder
from torch import Tensor
from transformers.cache_utils import Cache

from batcher.openvino_engine.export import attention
from batcher.torch_engine.cache import LayerShape, layer_shapes
from headrace.core.errors import ModelError

INPUTS = ("input_ids", "attention_mask", "position_ids")
ROWS, TOKENS, PAST = 2, 4, 3
"""Sizes of the traced call; none of them stays in the graph."""


@dataclass(frozen=True, slots=True)
class Graph:
    """`caches` and `weights` are parameters of `model`; its results are logits and new caches.

    Two caches a layer, keys and values, as `shapes` says. `values` are those of the weights.
    """

    model: openvino.Model
    shapes: list[tuple[int, int]]
    caches: list[Any]
    weights: list[Any]
    values: list[Tensor]


def trace(model: Any) -> Graph:
    """The graph of a causal `model`, which loses its weights to it.

    Raises `ModelError` for one that does not run; else whatever its code trips over.
    """
    shapes = _cache_shapes(layer_shapes(model))
    model.set_attn_implementation(attention.NAME)
    call = _Call(model, len(shapes))
    example = call.example(shapes)
    with warnings.catch_warnings(), torch.no_grad():
        # A trace knows its example alone; what of that stays in the graph is found out by the
        # comparison with the model.
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(call.run, example, check_trace=False, strict=False)  # type: ignore[no-untyped-call]
        frontend = FrontEndManager().load_by_framework("pytorch")
        decoder = TorchScriptPythonDecoder(traced, example_input=example)
        graph = frontend.convert(frontend.load(decoder))
    parameters = graph.get_parameters()
    if len(parameters) != len(example):
        raise ModelError("OpenVINO's converter dropped inputs of the model")
    _name(graph, shapes)
    first_weight = len(INPUTS) + len(shapes)
    caches, weights = parameters[len(INPUTS) : first_weight], parameters[first_weight:]
    return Graph(graph, shapes, caches, weights, call.values)


def _cache_shapes(layers: Sequence[LayerShape]) -> list[tuple[int, int]]:
    return [shape for layer in layers for shape in (layer.keys, layer.values)]


class _Call:
    """One forward as a function of everything that it depends on.

    The model's parameters are taken out of it: a tracer would make constants of them.
    """

    def __init__(self, model: Any, caches: int) -> None:
        self._model = model
        self._caches = caches
        places: dict[Tensor, list[tuple[Any, str]]] = {}
        for module in model.modules():
            for name, parameter in module.named_parameters(recurse=False, remove_duplicate=False):
                places.setdefault(parameter, []).append((module, name))
        self._places = list(places.values())
        self.values = [parameter.detach() for parameter in places]
        for module, name in (place for alike in self._places for place in alike):
            del module._parameters[name]

    def run(
        self, input_ids: Tensor, attention_mask: Tensor, position_ids: Tensor, *rest: Tensor
    ) -> tuple[Tensor, ...]:
        """Logits [rows, tokens, vocabulary] and the caches with the new tokens."""
        for alike, weight in zip(self._places, rest[self._caches :], strict=True):
            for module, name in alike:
                module.__dict__[name] = weight
        cache = _PastCache(rest[: self._caches])
        output = self._model(
            input_ids=input_ids,
            attention_mask=_causal_mask(attention_mask, position_ids),
            position_ids=position_ids,
            past_key_values=cache,
            use_cache=True,
        )
        return (output.logits, *cache.states)

    def example(self, shapes: Sequence[tuple[int, int]]) -> tuple[Tensor, ...]:
        """Arguments of a call; each weight is a zero that stands for all of its numbers."""
        return (
            torch.ones(ROWS, TOKENS, dtype=torch.int64),
            torch.ones(ROWS, PAST + TOKENS, dtype=torch.int64),
            torch.arange(PAST, PAST + TOKENS).expand(ROWS, TOKENS),
            *(torch.zeros(ROWS, heads, PAST, dim) for heads, dim in shapes),
            *(torch.zeros(1).expand(value.shape) for value in self.values),
        )


class _PastCache(Cache):
    """The caches that a call is given; `states` are those that it leaves behind."""

    def __init__(self, states: Sequence[Tensor]) -> None:
        super().__init__(layers=[])
        self.states = list(states)

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *args: Any, **kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        keys, values = 2 * layer_idx, 2 * layer_idx + 1
        self.states[keys] = torch.cat([self.states[keys], key_states], dim=-2)
        self.states[values] = torch.cat([self.states[values], value_states], dim=-2)
        return self.states[keys], self.states[values]


def _causal_mask(attention_mask: Tensor, position_ids: Tensor) -> Tensor:
    """[rows, 1, tokens, past + tokens]: what each token may attend to."""
    places = torch.arange(attention_mask.shape[1]).view(1, 1, 1, -1)
    is_before = places <= position_ids.unsqueeze(1).unsqueeze(-1)
    return is_before & attention_mask.unsqueeze(1).unsqueeze(1).bool()


def _name(graph: openvino.Model, shapes: Sequence[tuple[int, int]]) -> None:
    """Names and shapes that openvino-genai looks for."""
    parameters = graph.get_parameters()
    for parameter, name in zip(parameters, INPUTS, strict=False):
        _describe(parameter, name, [-1, -1])
    states = parameters[len(INPUTS) :]
    outputs = graph.outputs
    outputs[0].get_tensor().set_names({"logits"})
    for place, (heads, dim) in enumerate(shapes):
        part = f"{place // 2}.{('key', 'value')[place % 2]}"
        _describe(states[place], f"past_key_values.{part}", [-1, heads, -1, dim])
        outputs[place + 1].get_tensor().set_names({f"present.{part}"})


def _describe(parameter: Any, name: str, shape: list[int]) -> None:
    parameter.set_partial_shape(openvino.PartialShape(shape))
    parameter.set_friendly_name(name)
    parameter.output(0).get_tensor().set_names({name})
