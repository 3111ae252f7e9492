"""JSON schemas that output is held to: what they cost, and what a grammar's compiler said."""
