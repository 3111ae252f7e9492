"""The caches of a graph as its own states, in the shape that openvino-genai expects.

The shape is that of optimum-intel's exports (`optimum/exporters/openvino/stateful.py`): an input
`beam_idx` picks the rows of each state, which begins empty.
"""

from __future__ import annotations

import numpy as np
import openvino
from openvino import opset13 as operations
from openvino._offline_transformations import apply_make_stateful_transformation

from batcher.openvino_engine.export.tracing import Graph


def keep_states(graph: Graph) -> None:
    """Makes states of the graph's caches."""
    model = graph.model
    _pick_rows(graph)
    model.validate_nodes_and_infer_types()
    names = [cache.get_friendly_name() for cache in graph.caches]
    apply_make_stateful_transformation(
        model, {name: name.replace("past_key_values", "present") for name in names}
    )
    _begin_empty(model)
    model.validate_nodes_and_infer_types()


def _pick_rows(graph: Graph) -> None:
    rows = operations.parameter([-1], np.int32, name="beam_idx")
    rows.output(0).get_tensor().set_names({"beam_idx"})
    graph.model.add_parameters([rows])
    for cache in graph.caches:
        users = list(cache.output(0).get_target_inputs())
        picked = operations.gather(cache.output(0), rows, operations.constant(0))
        for user in users:
            user.replace_source_output(picked.output(0))


def _begin_empty(model: openvino.Model) -> None:
    ids = operations.shape_of(model.input("input_ids"))
    rows = operations.gather(ids, operations.constant([0]), operations.constant(0))
    for node in model.get_ops():
        if node.get_type_name() == "ReadValue":
            shape = node.get_output_partial_shape(0)
            heads, dim = shape[1].get_length(), shape[3].get_length()
            sizes = operations.concat([rows, *map(_size, (heads, 0, dim))], 0)
            node.set_arguments([operations.broadcast(operations.constant(np.float32(0)), sizes)])


def _size(number: int) -> openvino.Node:
    return operations.constant(np.array([number], np.int64))
