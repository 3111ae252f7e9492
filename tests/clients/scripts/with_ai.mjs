// Vercel's AI SDK with its provider for servers of OpenAI's API.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { generateText, Output, streamText } from "ai";
import { BASE_URL, KEY, MODEL, QUESTION, River, tell } from "./task.mjs";

const provider = createOpenAICompatible({
  name: "headrace",
  baseURL: BASE_URL,
  apiKey: KEY,
  includeUsage: true,
  supportsStructuredOutputs: true,
});
const asked = {
  model: provider(MODEL),
  prompt: QUESTION,
  maxOutputTokens: 48,
  temperature: 0,
  maxRetries: 0,
};

const chat = await generateText(asked);
const stream = [];
for await (const piece of streamText(asked).textStream) {
  stream.push(piece);
}
const structured = await generateText({ ...asked, output: Output.object({ schema: River }) });

tell(chat.text, stream, structured.output);
