"""langchain-openai, with structured output by json_schema, as is its default."""

from langchain_openai import ChatOpenAI
from task import BASE_URL, KEY, MODEL, QUESTION, RULES, River, tell

model = ChatOpenAI(model=MODEL, base_url=BASE_URL, api_key=KEY, **RULES)

chat = model.invoke(QUESTION)
stream = [str(chunk.content) for chunk in model.stream(QUESTION)]
structured = model.with_structured_output(River).invoke(QUESTION)

tell(str(chat.content), stream, structured)
