"""llm, with the server in its list of OpenAI-compatible models, as its documentation says."""

import json
import os
from pathlib import Path

from task import BASE_URL, KEY, MODEL, QUESTION, RULES, River, tell

entry = {"model_id": "headrace", "model_name": MODEL, "api_base": BASE_URL}
models = Path(os.environ["LLM_USER_PATH"], "extra-openai-models.yaml")
models.write_text(json.dumps([entry | {"supports_schema": True}]))  # JSON is YAML

import llm  # noqa: E402 -- it looks for the file

model = llm.get_model("headrace")
model.key = KEY

chat = model.prompt(QUESTION, stream=False, **RULES).text()
stream = list(model.prompt(QUESTION, stream=True, **RULES))
structured = model.prompt(QUESTION, stream=False, schema=River, **RULES).text()

tell(chat, stream, River.model_validate_json(structured))
