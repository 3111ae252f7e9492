"""Which keywords are read, by what, and in which order."""

from __future__ import annotations

from headrace.core.json_schema.grammar.keywords import applicators, arrays, objects, scalars
from headrace.core.json_schema.grammar.reading import Rules

RULES: Rules = (
    (("type",), scalars.type_),
    (("const",), scalars.const),
    (("enum",), scalars.enum),
    (
        ("properties", "patternProperties", "additionalProperties", "unevaluatedProperties"),
        objects.properties,
    ),
    (("required",), objects.required),
    (("minProperties",), objects.min_properties),
    (("maxProperties",), objects.max_properties),
    (("propertyNames",), objects.property_names),
    (("dependentRequired",), objects.dependent),
    (("dependentSchemas",), objects.dependent),
    (("dependencies",), objects.dependent),
    (("prefixItems", "items", "unevaluatedItems"), arrays.items),
    (("minItems",), arrays.min_items),
    (("maxItems",), arrays.max_items),
    (("uniqueItems",), arrays.unique_items),
    (("contains",), arrays.contains),
    (("minimum",), scalars.minimum),
    (("maximum",), scalars.maximum),
    (("exclusiveMinimum",), scalars.exclusive_minimum),
    (("exclusiveMaximum",), scalars.exclusive_maximum),
    (("multipleOf",), scalars.multiple_of),
    (("minLength",), scalars.min_length),
    (("maxLength",), scalars.max_length),
    (("pattern",), scalars.pattern),
    (("format",), scalars.format_),
    (("$ref",), applicators.ref),
    (("$dynamicRef", "$recursiveRef"), applicators.dynamic),
    (("allOf",), applicators.all_of),
    (("anyOf",), applicators.any_of),
    (("oneOf",), applicators.one_of),
    (("not",), applicators.not_),
    (("if",), applicators.if_),
)
"""In the order in which an object's keys are written. Keywords that are read together share one."""
