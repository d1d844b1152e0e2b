// Vercel's AI SDK, with its provider for servers that speak OpenAI's words, and one for Ollama's.

import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embedMany, generateText, jsonSchema, Output, streamText, tool } from "ai";
import { createOllama } from "ollama-ai-provider-v2";
import {
  ANSWER_SCHEMA, CALL_TOOLS, CHAT_MODEL, EMBEDDING_MODEL, ENOUGH_TOKENS, MAX_TOKENS,
  QUESTION, TEXTS, TOOL_DESCRIPTION, TOOL_NAME, TOOL_SCHEMA, UNKNOWN_MODEL, call, main,
} from "./scenarios.mjs";

const provider = (url) =>
  createOpenAICompatible({
    name: "models",
    baseURL: `${url}/v1`,
    includeUsage: true,
    supportsStructuredOutputs: true,
  });

const asked = (url, prompt = QUESTION, model = CHAT_MODEL) => ({
  model: provider(url)(model),
  prompt,
  maxOutputTokens: MAX_TOKENS,
  temperature: 0,
  maxRetries: 0,
});

// Both tools that the scripted engine calls; without `execute` the calls are what comes back.
const inputSchema = jsonSchema({ ...TOOL_SCHEMA, required: [] });
const toolbox = Object.fromEntries(
  [TOOL_NAME, "t"].map((name) => [name, tool({ description: TOOL_DESCRIPTION, inputSchema })]),
);

async function told(answer) {
  return {
    model: (await answer.response).modelId,
    text: await answer.text,
    finish: await answer.finishReason,
    tokens: (await answer.usage).outputTokens,
  };
}

const chat = async (url) => told(await generateText(asked(url)));

async function chat_ollama(url) {
  const model = createOllama({ baseURL: `${url}/api` })(CHAT_MODEL);
  // This provider leaves maxOutputTokens out of Ollama's options.
  const providerOptions = { ollama: { options: { num_predict: MAX_TOKENS, temperature: 0 } } };
  return told(await generateText({ ...asked(url), model, providerOptions }));
}

async function stream(url) {
  const streamed = streamText(asked(url));
  const pieces = [];
  for await (const piece of streamed.textStream) pieces.push(piece);
  return { ...(await told(streamed)), pieces };
}

async function schema(url) {
  const output = Output.object({ schema: jsonSchema(ANSWER_SCHEMA) });
  return (await generateText({ ...asked(url), maxOutputTokens: ENOUGH_TOKENS, output })).output;
}

async function embed(url) {
  const model = provider(url).embeddingModel(EMBEDDING_MODEL);
  return (await embedMany({ model, values: TEXTS })).embeddings;
}

const calls = (made) => made.map((one) => call(one.toolName, one.input));

const tools = async (url) =>
  calls((await generateText({ ...asked(url, CALL_TOOLS), tools: toolbox })).toolCalls);

async function stream_tools(url) {
  const streamed = streamText({ ...asked(url, CALL_TOOLS), tools: toolbox });
  return calls(await streamed.toolCalls);
}

const unknown = (url) => generateText(asked(url, QUESTION, UNKNOWN_MODEL));

await main({ chat, chat_ollama, stream, schema, embed, tools, stream_tools, unknown });
