"""Answers under JSON schemas are checked against them, beside the worker's steps."""
