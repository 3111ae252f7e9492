"""The keywords of JSON Schema, each as the shape that it asks for."""
