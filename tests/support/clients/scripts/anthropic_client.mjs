// Anthropic's client for Node.

import Anthropic from "@anthropic-ai/sdk";
import {
  CALL_TOOLS, CHAT_MODEL, MAX_TOKENS, TOOL_DESCRIPTION, TOOL_NAME, TOOL_SCHEMA, UNKNOWN_MODEL,
  call, main, messages,
} from "./scenarios.mjs";

const client = (url) =>
  new Anthropic({ baseURL: `${url}/anthropic`, apiKey: "unused", maxRetries: 0, timeout: 120_000 });

const asked = {
  model: CHAT_MODEL,
  messages: messages(),
  max_tokens: MAX_TOKENS,
  temperature: 0,
};

const withTools = {
  ...asked,
  messages: messages(CALL_TOOLS),
  tools: [{ name: TOOL_NAME, description: TOOL_DESCRIPTION, input_schema: TOOL_SCHEMA }],
};

async function chat(url) {
  const answer = await client(url).messages.create(asked);
  return {
    model: answer.model,
    text: answer.content.map((block) => block.text ?? "").join(""),
    finish: answer.stop_reason,
    tokens: answer.usage.output_tokens,
  };
}

async function stream(url) {
  const streamed = client(url).messages.stream(asked);
  const pieces = [];
  streamed.on("text", (piece) => pieces.push(piece));
  const final = await streamed.finalMessage();
  return {
    model: final.model,
    pieces,
    finish: final.stop_reason,
    tokens: final.usage.output_tokens,
  };
}

async function count(url) {
  const told = await client(url).messages.countTokens({ model: CHAT_MODEL, messages: messages() });
  return told.input_tokens;
}

const tools = async (url) => calls(await client(url).messages.create(withTools));

const stream_tools = async (url) =>
  calls(await client(url).messages.stream(withTools).finalMessage());

const unknown = (url) => client(url).messages.create({ ...asked, model: UNKNOWN_MODEL });

const unknown_stream = (url) =>
  client(url).messages.create({ ...asked, model: UNKNOWN_MODEL, stream: true });

const wrong = (url) => client(url).messages.create({ ...asked, temperature: "warm" });

const calls = (answer) =>
  answer.content
    .filter((block) => block.type === "tool_use")
    .map((block) => call(block.name, block.input));

await main({ chat, stream, count, tools, stream_tools, unknown, unknown_stream, wrong });
