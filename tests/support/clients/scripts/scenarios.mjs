// What every script of a client for Node is made of: as scenarios.py, which tells the rest.
//
//   node SCRIPT URL NAME…

import { setTimeout } from "node:timers/promises";

export const CHAT_MODEL = "ai/smollm2";
export const EMBEDDING_MODEL = "ai/embeddinggemma";
// Of another registry where the server has no default one.
export const PULLED_MODEL = process.env.PULLED_MODEL ?? "ai/pulled";
export const COPIED_MODEL = "ai/copied";
export const UNKNOWN_MODEL = "ai/no-such-model";
// What the list of running models calls the one that chats.
export const RUNNING_NAME = process.env.RUNNING_NAME ?? "ai/smollm2:latest";
export const QUESTION = "What is the capital of France?";
// The scripted engine answers this with two calls of tools, whatever the tools are.
export const CALL_TOOLS = "script: tools";
export const TEXTS = ["the sky is blue", "the grass is green"];
export const MAX_TOKENS = 24;
export const ENOUGH_TOKENS = 200;
export const ANSWER_SCHEMA = {
  type: "object",
  properties: { capital: { type: "string", enum: ["Paris", "London"] } },
  required: ["capital"],
  additionalProperties: false,
};
export const TOOL_NAME = "w";
export const TOOL_DESCRIPTION = "The weather of a city";
export const TOOL_SCHEMA = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
};

export const messages = (text = QUESTION) => [{ role: "user", content: text }];

export const functionTool = () => ({
  type: "function",
  function: { name: TOOL_NAME, description: TOOL_DESCRIPTION, parameters: TOOL_SCHEMA },
});

export const call = (name, given) => ({
  name,
  arguments: typeof given === "string" ? JSON.parse(given) : given,
});

// The first answer of which it holds, or the last one after a minute.
export async function eventually(ask, holds) {
  for (let turn = 0; turn < 600; turn += 1) {
    const answer = await ask();
    if (holds(answer)) return answer;
    await setTimeout(100);
  }
  return ask();
}

export async function main(scenarios) {
  const [url, ...names] = process.argv.slice(2);
  const outcomes = {};
  for (const name of names) outcomes[name] = await outcome(scenarios[name], url);
  console.log(JSON.stringify(outcomes));
}

async function outcome(scenario, url) {
  try {
    return { value: await scenario(url) };
  } catch (error) {
    const status = error.status ?? error.status_code ?? error.statusCode ?? null;
    return { raised: error.constructor.name, status, text: String(error).slice(0, 2000) };
  }
}
