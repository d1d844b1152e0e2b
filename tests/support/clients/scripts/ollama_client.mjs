// Ollama's client for Node.

import { Ollama } from "ollama";
import {
  ANSWER_SCHEMA, CALL_TOOLS, CHAT_MODEL, COPIED_MODEL, EMBEDDING_MODEL, ENOUGH_TOKENS, MAX_TOKENS,
  PULLED_MODEL, RUNNING_NAME, TEXTS, UNKNOWN_MODEL, call, eventually, functionTool, main, messages,
} from "./scenarios.mjs";

const client = (url) => new Ollama({ host: url });

const asked = {
  model: CHAT_MODEL,
  messages: messages(),
  options: { num_predict: MAX_TOKENS, temperature: 0 },
};

const withTools = { ...asked, messages: messages(CALL_TOOLS), tools: [functionTool()] };

const list_models = async (url) => (await client(url).list()).models.map((one) => one.model);

async function show(url) {
  const found = await client(url).show({ model: CHAT_MODEL });
  return {
    name: CHAT_MODEL,
    context: found.model_info["llama.context_length"],
    capabilities: found.capabilities,
    family: found.details.family,
  };
}

async function chat(url) {
  const answer = await client(url).chat(asked);
  return {
    model: answer.model,
    text: answer.message.content,
    finish: answer.done_reason,
    tokens: answer.eval_count,
  };
}

async function stream(url) {
  const parts = await all(await client(url).chat({ ...asked, stream: true }));
  const last = parts.at(-1);
  return {
    model: last.model,
    pieces: parts.map((part) => part.message.content).filter(Boolean),
    finish: last.done_reason,
    tokens: last.eval_count,
  };
}

async function complete(url) {
  const { model, options } = asked;
  const answer = await client(url).generate({ model, options, prompt: "Once upon" });
  return {
    model: answer.model,
    text: answer.response,
    finish: answer.done_reason,
    tokens: answer.eval_count,
  };
}

async function schema(url) {
  const options = { num_predict: ENOUGH_TOKENS };
  const answer = await client(url).chat({ ...asked, options, format: ANSWER_SCHEMA });
  return JSON.parse(answer.message.content);
}

const embed = async (url) =>
  (await client(url).embed({ model: EMBEDDING_MODEL, input: TEXTS })).embeddings;

const tools = async (url) => calls([await client(url).chat(withTools)]);

const stream_tools = async (url) =>
  calls(await all(await client(url).chat({ ...withTools, stream: true })));

async function load(url) {
  const answer = await client(url).generate({ model: CHAT_MODEL, prompt: "", keep_alive: "1h" });
  return { reason: answer.done_reason, running: await running(url) };
}

async function unload(url) {
  const answer = await client(url).generate({ model: CHAT_MODEL, prompt: "", keep_alive: 0 });
  const left = async () => (await running(url)).filter((one) => one.name === RUNNING_NAME);
  return { reason: answer.done_reason, left: await eventually(left, (found) => !found.length) };
}

const running = async (url) =>
  (await client(url).ps()).models.map((one) => ({
    name: one.model,
    size: one.size,
    expires: one.expires_at,
  }));

async function pull(url) {
  const parts = await all(await client(url).pull({ model: PULLED_MODEL, stream: true }));
  const sized = parts.filter((part) => part.total).at(-1);
  return { last: parts.at(-1).status, complete: Boolean(sized) && sized.completed === sized.total };
}

async function copy(url) {
  await client(url).copy({ source: PULLED_MODEL, destination: COPIED_MODEL });
  return eventually(() => list_models(url), (names) => names.includes(`${COPIED_MODEL}:latest`));
}

async function remove(url) {
  await client(url).delete({ model: COPIED_MODEL });
  await client(url).delete({ model: PULLED_MODEL });
  return eventually(() => list_models(url), (names) => !names.includes(`${PULLED_MODEL}:latest`));
}

const unknown = (url) => client(url).chat({ ...asked, model: UNKNOWN_MODEL });

const unknown_stream = (url) => client(url).chat({ ...asked, model: UNKNOWN_MODEL, stream: true });

const unknown_delete = (url) => client(url).delete({ model: UNKNOWN_MODEL });

const wrong = (url) => client(url).chat({ ...asked, options: { temperature: "warm" } });

async function all(streamed) {
  const parts = [];
  for await (const part of streamed) parts.push(part);
  return parts;
}

const calls = (parts) =>
  parts
    .flatMap((part) => part.message.tool_calls ?? [])
    .map((one) => call(one.function.name, one.function.arguments));

await main({
  list_models, show, chat, stream, complete, schema, embed, tools, stream_tools, load, unload,
  running, pull, copy, delete: remove, unknown, unknown_stream, unknown_delete, wrong,
});
