// What each client is asked to do, and how it tells what it got.
import { z } from "zod";

export const { BASE_URL, MODEL } = process.env;
export const KEY = "none";
export const QUESTION = "Which river is longer, the Rhine or the Danube?";
export const River = z.object({ name: z.enum(["Rhine", "Danube"]), is_longer: z.boolean() });

export function tell(chat, stream, structured) {
  const pieces = stream.filter(Boolean);
  console.log(JSON.stringify({ chat, stream: pieces, structured: River.parse(structured) }));
}
