"""pydantic-ai with its NativeOutput."""

import asyncio

from pydantic_ai import Agent, NativeOutput
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider
from task import BASE_URL, KEY, MODEL, QUESTION, RULES, River, tell

model = OpenAIChatModel(MODEL, provider=OpenAIProvider(base_url=BASE_URL, api_key=KEY))


async def main() -> None:
    talker = Agent(model, model_settings=RULES)
    chat = await talker.run(QUESTION)
    async with talker.run_stream(QUESTION) as result:
        stream = [piece async for piece in result.stream_text(delta=True, debounce_by=None)]
    structured = await Agent(
        model, output_type=NativeOutput(River), model_settings=RULES, retries=0
    ).run(QUESTION)
    tell(chat.output, stream, structured.output)


asyncio.run(main())
