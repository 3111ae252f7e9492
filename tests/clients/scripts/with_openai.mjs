// The official client of JavaScript, structured answers by its zod helper.
import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { BASE_URL, KEY, MODEL, QUESTION, River, tell } from "./task.mjs";

const client = new OpenAI({ baseURL: BASE_URL, apiKey: KEY });
const asked = {
  model: MODEL,
  messages: [{ role: "user", content: QUESTION }],
  max_tokens: 48,
  temperature: 0,
};

const chat = await client.chat.completions.create(asked);
const stream = [];
for await (const chunk of await client.chat.completions.create({ ...asked, stream: true })) {
  stream.push(chunk.choices[0]?.delta?.content);
}
const structured = await client.chat.completions.parse({
  ...asked,
  response_format: zodResponseFormat(River, "river"),
});

tell(chat.choices[0].message.content, stream, structured.choices[0].message.parsed);
