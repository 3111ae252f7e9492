"""litellm, by its route to servers of OpenAI's API."""

import litellm
from task import BASE_URL, KEY, MESSAGES, MODEL, RULES, River, tell

site = {"model": f"openai/{MODEL}", "api_base": BASE_URL, "api_key": KEY, "messages": MESSAGES}

chat = litellm.completion(**site, **RULES)
stream = litellm.completion(**site, **RULES, stream=True)
structured = litellm.completion(**site, **RULES, response_format=River)

tell(
    chat.choices[0].message.content,
    [chunk.choices[0].delta.content for chunk in stream],
    River.model_validate_json(structured.choices[0].message.content),
)
