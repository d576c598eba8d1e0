/**
 * Voztaxi's `POST /stream/chat` for any front end: typed events over `fetch`, without a framework.
 *
 * A lost line is taken up again with `Last-Event-ID`, so that every piece of the answer comes once and in
 * order. docs/protocol.md of Voztaxi has the protocol.
 */

import { createParser, type EventSourceMessage } from "eventsource-parser";

// What crosses the wire.

export interface StartData {
  conversation_id: string;
  status: "processing";
}

export interface ChunkData {
  type: "content";
  /** Words of the answer; never empty. */
  content: string;
  /** From 0, without a gap. */
  chunk_index: number;
  /** The answer is complete with this one. */
  is_final: boolean;
}

export interface EndData {
  conversation_id: string;
  status: "completed";
  /** How many messages of the conversation the answer is. */
  message_count: number;
}

export interface ErrorData {
  /** For people. */
  error: string;
  conversation_id: string;
  status: "error";
  code: string;
}

/** An event as the server sends it. */
export type WireEvent =
  | { event: "start"; data: StartData }
  | { event: "chunk"; data: ChunkData }
  | { event: "end"; data: EndData }
  | { event: "error"; data: ErrorData };

/** What `streamChat` yields: one `start`, a `chunk` for each piece, one `end`. An `error` is thrown. */
export type StreamEvent = Exclude<WireEvent, { event: "error" }>;

// What can go wrong.

/**
 * What helps after a failure: `resume` is the same message under the same `messageId`, which runs no
 * second turn; `repeat` is saying it again under a new one; `none` is neither.
 */
export type Remedy = "resume" | "repeat" | "none";

interface Failure {
  remedy: Remedy;
  /** Whether it may pass by itself. */
  isTransient?: boolean;
  /** How long the server asks to be left alone, in milliseconds. */
  retryAfterMs?: number;
  cause?: unknown;
}

/** Why there is no whole answer. Its message is for people, and from the server where that has one. */
export class StreamChatError extends Error {
  override readonly name = "StreamChatError";
  /** One of the protocol's, or `connection_lost`, `no_token`, `bad_stream`, `http_…`. */
  readonly code: string;
  readonly remedy: Remedy;
  readonly isTransient: boolean;
  readonly retryAfterMs: number;

  constructor(code: string, message: string, failure: Failure) {
    super(message, { cause: failure.cause });
    this.code = code;
    this.remedy = failure.remedy;
    this.isTransient = failure.isTransient ?? false;
    this.retryAfterMs = failure.retryAfterMs ?? 0;
  }
}

// Asking.

/**
 * Returns an access token. `refused` is the one that the server has just refused: get another one then.
 * Where the same comes back, the refusal stands.
 */
export type GetToken = (refused?: string) => string | Promise<string>;

export interface Retry {
  /** From 1, counted since the last event. */
  attempt: number;
  delayMs: number;
  error: StreamChatError;
}

export interface StreamChatOptions {
  /** Where the server is, such as `http://127.0.0.1:8000`. */
  apiUrl: string;
  getToken: GetToken;
  message: string;
  /** Without one a new conversation begins; `start` names it. */
  conversationId?: string | undefined;
  /** The message's own name, so that sending it again runs no second turn. */
  messageId?: string | undefined;
  metadata?: Readonly<Record<string, unknown>> | undefined;
  /** Ends the stream; its reason is thrown. */
  signal?: AbortSignal | undefined;
  /** The line is lost and will be taken up again. */
  onRetry?: ((retry: Retry) => void) | undefined;
}

/** The server is never quiet for more than 15 seconds. */
const SILENCE_MS = 40_000;
/** In a row, without an event between them. */
const MAX_RETRIES = 6;
const LONGEST_DELAY_MS = 30_000;

/** How far a stream was read. */
interface Place {
  lastEventId: string | undefined;
  chunks: number;
  retryMs: number;
}

/** Returns a name for a message. Unlike `randomUUID` it is there on pages without https, too. */
export function newMessageId(): string {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Sends a message and yields the events of its answer, each once and in order, whatever happens to the line.
 *
 * Leaving the loop closes the stream.
 *
 * @throws {StreamChatError} There will be no whole answer, or not without help.
 */
export async function* streamChat(options: StreamChatOptions): AsyncGenerator<StreamEvent, void, undefined> {
  const body = JSON.stringify({
    message: options.message,
    conversation_id: options.conversationId,
    message_id: options.messageId ?? newMessageId(),
    metadata: options.metadata,
  });
  const place: Place = { lastEventId: undefined, chunks: 0, retryMs: 1000 };
  for (let failures = 0; ; ) {
    const line = new AbortController();
    let error: StreamChatError;
    try {
      for await (const event of readLine(options, body, place, line)) {
        failures = 0;
        yield event;
        options.signal?.throwIfAborted();
        if (event.event === "end") return;
      }
      error = connectionLost();
    } catch (cause) {
      options.signal?.throwIfAborted();
      error = cause instanceof StreamChatError ? cause : connectionLost(cause);
    } finally {
      line.abort();
    }
    failures += 1;
    if (!error.isTransient || error.retryAfterMs > LONGEST_DELAY_MS || failures > MAX_RETRIES) throw error;
    const backoffMs = Math.min(place.retryMs * 2 ** (failures - 1), LONGEST_DELAY_MS);
    const delayMs = Math.max(backoffMs, error.retryAfterMs) * (1 + Math.random() / 2);
    options.onRetry?.({ attempt: failures, delayMs, error });
    await wait(delayMs, options.signal);
  }
}

/** Yields what comes over one connection, until it ends or breaks. */
async function* readLine(
  options: StreamChatOptions,
  body: string,
  place: Place,
  line: AbortController,
): AsyncGenerator<StreamEvent, void, undefined> {
  const response = await open(options, body, place, line);
  for await (const message of parse(response, place, line)) {
    const wire = readEvent(message);
    if (wire === undefined) continue;
    if (wire.event === "error") throw failureOf(wire.data);
    if (wire.event === "chunk") {
      if (wire.data.chunk_index < place.chunks) continue;
      if (wire.data.chunk_index > place.chunks) throw connectionLost(new Error("a chunk is missing"));
      place.chunks += 1;
    }
    place.lastEventId = message.id ?? place.lastEventId;
    yield wire;
  }
}

/** Asks with a token, and with another one where that is refused. */
async function open(
  options: StreamChatOptions,
  body: string,
  place: Place,
  line: AbortController,
): Promise<Response> {
  const signal = options.signal === undefined ? line.signal : AbortSignal.any([options.signal, line.signal]);
  const post = (token: string): Promise<Response> => {
    const headers = new Headers({
      Accept: "text/event-stream",
      Authorization: `Bearer ${token}`,
      "Content-Type": "application/json",
    });
    if (place.lastEventId !== undefined) headers.set("Last-Event-ID", place.lastEventId);
    const url = `${options.apiUrl.replace(/\/+$/, "")}/stream/chat`;
    return unlessSilent(fetch(url, { method: "POST", headers, body, signal, cache: "no-store" }), line);
  };

  const token = await tokenFrom(options.getToken);
  let response = await post(token);
  if (response.status === 401) {
    const fresh = await tokenFrom(options.getToken, token);
    if (fresh !== token) {
      await response.body?.cancel();
      response = await post(fresh);
    }
  }
  if (!response.ok) throw await refusalOf(response);
  if (!response.headers.get("Content-Type")?.startsWith("text/event-stream")) {
    throw badStream("the answer is no event stream");
  }
  return response;
}

async function tokenFrom(getToken: GetToken, refused?: string): Promise<string> {
  try {
    return await getToken(refused);
  } catch (cause) {
    throw new StreamChatError("no_token", "No se pudo iniciar sesión.", { remedy: "resume", cause });
  }
}

/** Yields the messages of a body as they come. */
async function* parse(
  response: Response,
  place: Place,
  line: AbortController,
): AsyncGenerator<EventSourceMessage, void, undefined> {
  if (response.body === null) return;
  const come: EventSourceMessage[] = [];
  const parser = createParser({
    onEvent: (message) => come.push(message),
    onRetry: (milliseconds) => {
      place.retryMs = milliseconds;
    },
  });
  const decoder = new TextDecoder();
  const reader = response.body.getReader();
  for (;;) {
    const { done, value } = await unlessSilent(reader.read(), line);
    if (done) return;
    parser.feed(decoder.decode(value, { stream: true }));
    yield* come.splice(0);
  }
}

/** Waits for something of the line, which is given up where it stays silent. */
async function unlessSilent<T>(coming: Promise<T>, line: AbortController): Promise<T> {
  const timer = setTimeout(() => line.abort(), SILENCE_MS);
  try {
    return await coming;
  } finally {
    clearTimeout(timer);
  }
}

/** Waits so long, or until it is ended; throws the reason then. */
async function wait(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  signal?.throwIfAborted();
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
  signal?.throwIfAborted();
}

// Reading what came.

const FIELDS = {
  start: { conversation_id: "string" },
  chunk: { content: "string", chunk_index: "number", is_final: "boolean" },
  end: { conversation_id: "string", message_count: "number" },
  error: { error: "string", code: "string" },
} as const;

/** Returns a message as an event; nothing for events that this client does not know. */
function readEvent(message: EventSourceMessage): WireEvent | undefined {
  const event = message.event;
  if (event !== "start" && event !== "chunk" && event !== "end" && event !== "error") return undefined;
  const data = parseJson(message.data);
  const isWhole = Object.entries(FIELDS[event]).every(([name, type]) => typeof fieldOf(data, name) === type);
  if (!isWhole) throw badStream(`a ${event} is not as the protocol has it`);
  return { event, data } as WireEvent;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function fieldOf(data: unknown, name: string): unknown {
  return typeof data === "object" && data !== null ? (data as Record<string, unknown>)[name] : undefined;
}

// Reading what went wrong.

function connectionLost(cause?: unknown): StreamChatError {
  return new StreamChatError("connection_lost", "Se perdió la conexión.", {
    remedy: "resume",
    isTransient: true,
    cause,
  });
}

function badStream(message: string): StreamChatError {
  return new StreamChatError("bad_stream", "El servidor respondió algo inesperado.", {
    remedy: "none",
    cause: new Error(message),
  });
}

/** Returns why a stream ended without the whole answer. */
function failureOf({ code, error }: ErrorData): StreamChatError {
  switch (code) {
    case "stream_timeout":
    case "draining":
      return new StreamChatError(code, error, { remedy: "resume", isTransient: true });
    case "store_failed": // of the log, which passes, or of the turn, which does not
      return new StreamChatError(code, error, { remedy: "repeat", isTransient: true });
    case "log_truncated":
    case "forbidden_thread":
      return new StreamChatError(code, error, { remedy: "none" });
    default:
      return new StreamChatError(code, error, { remedy: "repeat" });
  }
}

/** Returns why a request was refused: a problem of RFC 9457, or whatever a proxy answers. */
async function refusalOf(response: Response): Promise<StreamChatError> {
  const { status } = response;
  const problem = parseJson(await response.text());
  const [code, detail] = [fieldOf(problem, "code"), fieldOf(problem, "detail")];
  return new StreamChatError(
    typeof code === "string" ? code : `http_${status}`,
    typeof detail === "string" ? detail : `El servidor respondió ${status}.`,
    {
      remedy: status === 401 || status === 429 || status >= 500 ? "resume" : "none",
      isTransient: status === 502 || status === 503 || status === 504,
      retryAfterMs: readRetryAfter(response.headers.get("Retry-After")),
    },
  );
}

/** Returns a `Retry-After`, seconds or a date, in milliseconds from now. */
function readRetryAfter(value: string | null): number {
  if (value === null) return 0;
  const milliseconds = /^\d+$/.test(value) ? Number(value) * 1000 : Date.parse(value) - Date.now();
  return Math.max(0, milliseconds) || 0;
}
