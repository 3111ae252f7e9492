"""instructor in its JSON_SCHEMA mode, around the official client."""

import instructor
from openai import OpenAI
from task import BASE_URL, KEY, MESSAGES, MODEL, RULES, River, tell

client = instructor.from_openai(
    OpenAI(base_url=BASE_URL, api_key=KEY), mode=instructor.Mode.JSON_SCHEMA
)
asked = {"model": MODEL, "messages": MESSAGES, **RULES}

chat = client.chat.completions.create(**asked, response_model=None)
stream = client.chat.completions.create(**asked, response_model=None, stream=True)
structured = client.chat.completions.create(**asked, response_model=River, max_retries=0)

tell(
    chat.choices[0].message.content,
    [chunk.choices[0].delta.content for chunk in stream if chunk.choices],
    structured,
)
