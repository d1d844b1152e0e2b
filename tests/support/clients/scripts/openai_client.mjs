// OpenAI's client for Node.

import OpenAI from "openai";
import { zodResponseFormat } from "openai/helpers/zod";
import { z } from "zod";
import {
  CALL_TOOLS, CHAT_MODEL, EMBEDDING_MODEL, MAX_TOKENS, QUESTION, TEXTS, UNKNOWN_MODEL,
  call, functionTool, main, messages,
} from "./scenarios.mjs";

const Answer = z.object({ capital: z.enum(["Paris", "London"]) });

const client = (url) =>
  new OpenAI({ baseURL: `${url}/v1`, apiKey: "unused", maxRetries: 0, timeout: 120_000 });

const asked = {
  model: CHAT_MODEL,
  messages: messages(),
  max_tokens: MAX_TOKENS,
  temperature: 0,
};

async function list_models(url) {
  const names = [];
  for await (const model of client(url).models.list()) names.push(model.id);
  return names;
}

async function show(url) {
  const found = await client(url).models.retrieve(CHAT_MODEL);
  return { name: found.id, context: found.dmr.context_window };
}

async function chat(url) {
  const answer = await client(url).chat.completions.create(asked);
  return {
    model: answer.model,
    text: answer.choices[0].message.content,
    finish: answer.choices[0].finish_reason,
    tokens: answer.usage.completion_tokens,
  };
}

async function stream(url) {
  const streamed = client(url).chat.completions.stream({
    ...asked,
    stream_options: { include_usage: true },
  });
  const pieces = [];
  streamed.on("content", (piece) => pieces.push(piece));
  const final = await streamed.finalChatCompletion();
  return {
    model: final.model,
    pieces,
    finish: final.choices[0].finish_reason,
    tokens: final.usage.completion_tokens,
  };
}

async function schema(url) {
  const answer = await client(url).chat.completions.parse({
    model: CHAT_MODEL,
    messages: messages(),
    response_format: zodResponseFormat(Answer, "answer"),
  });
  return answer.choices[0].message.parsed;
}

async function embed(url) {
  const answer = await client(url).embeddings.create({ model: EMBEDDING_MODEL, input: TEXTS });
  return answer.data.map((one) => one.embedding);
}

async function tools(url) {
  const answer = await client(url).chat.completions.create({
    ...asked,
    messages: messages(CALL_TOOLS),
    tools: [functionTool()],
  });
  return calls(answer);
}

async function stream_tools(url) {
  const streamed = client(url).chat.completions.stream({
    ...asked,
    messages: messages(CALL_TOOLS),
    tools: [functionTool()],
  });
  return calls(await streamed.finalChatCompletion());
}

async function respond(url) {
  const { responses } = client(url);
  const more = { model: CHAT_MODEL, max_output_tokens: MAX_TOKENS, temperature: 0 };
  const first = await responses.create({ ...more, input: "My name is Ada." });
  const second = await responses.create({
    ...more,
    input: "What is my name?",
    previous_response_id: first.id,
  });
  const kept = await responses.retrieve(second.id);
  await responses.delete(second.id);
  const gone = await responses.retrieve(second.id).then(
    () => false,
    (error) => error instanceof OpenAI.NotFoundError,
  );
  return {
    text: second.output_text,
    kept: kept.output.flatMap((item) => item.content ?? []).map((part) => part.text).join(""),
    status: second.status,
    gone,
    tokens: second.usage.output_tokens,
  };
}

async function stream_response(url) {
  const streamed = client(url).responses.stream({
    model: CHAT_MODEL,
    input: QUESTION,
    max_output_tokens: MAX_TOKENS,
    temperature: 0,
  });
  const numbers = [];
  for await (const event of streamed) numbers.push(event.sequence_number);
  const final = await streamed.finalResponse();
  return { text: final.output_text, status: final.status, numbers };
}

const unknown = (url) =>
  client(url).chat.completions.create({ ...asked, model: UNKNOWN_MODEL });

const unknown_stream = (url) =>
  client(url).chat.completions.create({ ...asked, model: UNKNOWN_MODEL, stream: true });

const wrong = (url) => client(url).chat.completions.create({ ...asked, temperature: "warm" });

const calls = (answer) =>
  (answer.choices[0].message.tool_calls ?? []).map((one) =>
    call(one.function.name, one.function.arguments),
  );

await main({
  list_models, show, chat, stream, schema, embed, tools, stream_tools, respond, stream_response,
  unknown, unknown_stream, wrong,
});
