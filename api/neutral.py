"""Fields of requests that change no answer: what clients send by default is taken.

A field that would change the answer, and that Headrace does not have, is refused by its name.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

from pydantic.json_schema import JsonSchemaValue

from headrace.core.errors import InvalidRequest

HINTS = frozenset(
    [
        *("user", "metadata", "safety_identifier", "request_id", "rid", "session_id"),
        *("reasoning_effort", "verbosity", "service_tier", "store", "prediction"),
        *("parallel_tool_calls", "prompt_cache_key", "prompt_cache_retention"),
        *("prompt_cache_options", "cache_prompt", "cache_salt", "keep_alive", "id_slot", "slot_id"),
        *("mirostat_tau", "mirostat_eta", "dynatemp_exponent", "xtc_threshold", "dry_base"),
        *("dry_allowed_length", "dry_penalty_last_n", "dry_sequence_breakers"),
    ]
)
"""Fields that change no answer, whatever they say.

They speak about the caller, about effort and caches, or tune a rule that another field turns on.
"""

_OPENAI: dict[str, tuple[Any, ...]] = {
    "n": (1,),
    "best_of": (1,),
    "echo": (False,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "stream": (False,),
    "stream_options": ({},),
    "suffix": ("",),
    "tools": ([],),
    "tool_choice": ("none", "auto"),
    "functions": ([],),
    "function_call": ("none", "auto"),
    "modalities": (["text"],),
    "chat_template_kwargs": ({},),
    **dict.fromkeys(("audio", "moderation", "web_search_options"), ()),
}

_VLLM_AND_SGLANG: dict[str, tuple[Any, ...]] = {
    "length_penalty": (1,),
    "include_reasoning": (True,),
    "separate_reasoning": (True,),
    "stream_reasoning": (True,),
    "detokenize": (True,),
    "spaces_between_special_tokens": (True,),
    "add_generation_prompt": (True,),
    **dict.fromkeys(("use_beam_search", "early_stopping", "continue_final_message"), (False,)),
    **dict.fromkeys(("include_stop_str_in_output", "no_stop_trim"), (False,)),
    **dict.fromkeys(("return_token_ids", "return_tokens_as_token_ids"), (False,)),
    **dict.fromkeys(("return_hidden_states", "prompt_logprobs"), (False,)),
    **dict.fromkeys(("allowed_token_ids", "bad_words", "documents", "logits_processors"), ([],)),
    **dict.fromkeys(("mm_processor_kwargs", "vllm_xargs", "kv_transfer_params"), ({},)),
    "add_special_tokens": (),
    **dict.fromkeys(("chat_template", "structured_outputs", "truncate_prompt_tokens"), ()),
    **dict.fromkeys(("guided_json", "guided_regex", "guided_choice", "guided_grammar"), ()),
    **dict.fromkeys(("guided_decoding_backend", "guided_whitespace_pattern"), ()),
    **dict.fromkeys(("regex", "ebnf", "lora_path", "session_params", "custom_params"), ()),
}

_LLAMA_CPP_AND_OTHERS: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("typical_p", "typical", "tfs_z", "tfs", "repeat_penalty"), (1,)),
    **dict.fromkeys(("encoder_repetition_penalty", "guidance_scale", "num_beams"), (1,)),
    **dict.fromkeys(("top_a", "mirostat", "mirostat_mode", "dynatemp_range"), (0,)),
    **dict.fromkeys(("xtc_probability", "dry_multiplier", "smoothing_factor"), (0,)),
    **dict.fromkeys(("no_repeat_ngram_size", "epsilon_cutoff", "eta_cutoff"), (0,)),
    **dict.fromkeys(("penalty_alpha", "n_probs", "n_keep", "n_indent", "min_keep"), (0,)),
    "t_max_predict_ms": (0, -1),
    "n_predict": (-1,),
    **dict.fromkeys(("timings_per_token", "return_progress", "return_tokens"), (False,)),
    **dict.fromkeys(("post_sampling_probs", "ban_eos_token", "raw", "think"), (False,)),
    **dict.fromkeys(("details", "decoder_input_details", "watermark"), (False,)),
    **dict.fromkeys(("return_full_text", "safe_prompt"), (False,)),
    **dict.fromkeys(("grammar", "negative_prompt", "custom_token_bans", "format"), ("",)),
    **dict.fromkeys(("lora", "response_fields", "transforms", "models", "plugins"), ([],)),
    **dict.fromkeys(("options", "provider", "reasoning"), ({},)),
    "thinking": ({"type": "disabled"},),
    **dict.fromkeys(("json_schema", "samplers", "truncate", "route", "prompt_mode"), ()),
}

MOST_COMPLAINTS, LONGEST_NAME = 8, 100
"""Most fields that a refusal names, and characters of one: similar names take time to find."""

NEUTRAL = _OPENAI | _VLLM_AND_SGLANG | _LLAMA_CPP_AND_OTHERS
"""Fields that are taken only where they change nothing, with the values that do so.

Null changes nothing anywhere, not even in a field that nobody knows.
"""

SWITCHES = {"tools": "tool_choice", "functions": "function_call"}
"""Lists that change nothing where the field beside them is `none`."""

LIKENESS = 0.8
"""Above it a name is taken for a misspelling of another."""

_ADVICE = {
    "tools": 'this deployment calls no tools; leave it out, or send tool_choice: "none". '
    "response_format with a json_schema gives structured answers",
    "functions": 'this deployment calls no functions; leave it out, or send function_call: "none"',
    "stream": "jobs are streamed by GET /v1/jobs/{id}/stream; leave it out",
    "echo": "the prompt is no part of an answer here; leave it out",
}


def meaningful(body: Mapping[str, Any], own: Collection[str]) -> dict[str, Any]:
    """Returns the fields that ask for something; `own` are the names that the body has.

    Raises one `InvalidRequest` for all fields that cannot be served.
    """
    asked = {name: value for name, value in body.items() if value is not None}
    foreign = {name: value for name, value in asked.items() if name not in own}
    for switched, switch in SWITCHES.items():
        if _is_filled(foreign.get(switched)) and foreign.pop(switch, "auto") == "none":
            del foreign[switched]
    refused = [name for name, value in foreign.items() if not _is_neutral(name, value)]
    if refused:
        raise _refused(refused, own)
    return {name: value for name, value in asked.items() if name in own}


def neutral_properties() -> dict[str, JsonSchemaValue]:
    """The JSON schemas of all fields of the table."""
    properties = {name: {"enum": [*values, None]} for name, values in NEUTRAL.items()}
    lists = {name: {"type": ["array", "null"]} for name in SWITCHES}
    return properties | lists | {name: {} for name in sorted(HINTS)}


def switch_schemas() -> list[JsonSchemaValue]:
    """JSON schemas, all of which a body has to fit: what goes only beside a `none`."""
    return [
        {
            "anyOf": [
                {"properties": {switched: {"enum": [*NEUTRAL[switched], None]}}},
                {"properties": {switch: {"const": "none"}}, "required": [switch]},
            ]
        }
        for switched, switch in SWITCHES.items()
    ]


def _is_filled(value: Any) -> bool:
    return isinstance(value, list) and bool(value)


def _is_neutral(name: str, value: Any) -> bool:
    return name in HINTS or any(_is_same(value, neutral) for neutral in NEUTRAL.get(name, ()))


def _is_same(value: Any, neutral: Any) -> bool:
    """Python takes 0 for False."""
    return type(value) is type(neutral) and bool(value == neutral)


def _complaint(name: str, own: Collection[str]) -> str:
    if len(name) > LONGEST_NAME:
        return f"{name[:LONGEST_NAME]}…: no such field; leave it out"
    if name in _ADVICE:
        return f"{name}: {_ADVICE[name]}"
    if name not in NEUTRAL:
        near = get_close_matches(name, [*own, *NEUTRAL, *HINTS], 1, LIKENESS)
        return f"{name}: no such field; " + (f"did you mean {near[0]}?" if near else "leave it out")
    values = [json.dumps(value) for value in NEUTRAL[name] if value not in ([], {}, "")]
    only = f", or send {' or '.join(values)}" if values else ""
    return f"{name}: not supported; leave it out{only}"


def _refused(names: Sequence[str], own: Collection[str]) -> InvalidRequest:
    """The first field is the error's `param`."""
    complaints = [_complaint(name, own) for name in names[:MOST_COMPLAINTS]]
    if len(names) > MOST_COMPLAINTS:
        complaints.append(f"{len(names) - MOST_COMPLAINTS} more fields are refused")
    code = "unsupported_value" if names[0] in NEUTRAL else "unknown_parameter"
    return InvalidRequest(". ".join(complaints), names[0][:LONGEST_NAME], code)
