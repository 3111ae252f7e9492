"""From a JSON schema to the grammar of the texts that fit it, or to a reason against it."""
