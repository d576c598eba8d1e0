import { expect, test, vi } from "vitest";
import { type Retry, streamChat, StreamChatError, type StreamChatOptions, type StreamEvent } from "../streamChat";
import { openProxy } from "./proxy";
import { OLD_TOKEN, OTHER_TOKEN, savedTexts, SLOW, STRICT, TOKEN } from "./server";

type Asked = Partial<StreamChatOptions>;

function ask(options: Asked): AsyncGenerator<StreamEvent, void, undefined> {
  return streamChat({ apiUrl: SLOW, getToken: () => TOKEN, message: "Hola", ...options });
}

async function collect(events: AsyncIterable<StreamEvent>): Promise<StreamEvent[]> {
  const come: StreamEvent[] = [];
  for await (const event of events) come.push(event);
  return come;
}

async function whole(options: Asked): Promise<StreamEvent[]> {
  return collect(ask(options));
}

async function failure(options: Asked): Promise<StreamChatError> {
  const error: unknown = await whole(options).catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(StreamChatError);
  return error as StreamChatError;
}

function textOf(events: readonly StreamEvent[]): string {
  return events.map((each) => (each.event === "chunk" ? each.data.content : "")).join("");
}

function lastEventId(request: string): string | undefined {
  return /^last-event-id: (.*)\r$/im.exec(request)?.[1];
}

test("an answer is a start, chunks that are counted, and an end", async () => {
  const events = await whole({ conversationId: "client-whole" });

  const chunks = events.flatMap((each) => (each.event === "chunk" ? [each.data] : []));
  expect(events.map((each) => each.event)).toEqual(["start", ...chunks.map(() => "chunk"), "end"]);
  expect(chunks.map((each) => each.chunk_index)).toEqual(chunks.map((_, index) => index));
  expect(chunks.map((each) => each.is_final)).toEqual(chunks.map((_, index) => index === chunks.length - 1));
  expect(await savedTexts("client-whole")).toEqual(["Hola", textOf(events)]);
});

test("wherever the line is cut, every chunk comes once and the text is the saved one", async () => {
  const cuts = Array.from({ length: 48 }, (_, index) => 1 + 37 * index);
  const answers = cuts.map(async (cut) => {
    const proxy = await openProxy(SLOW, [cut, cut + 91]);
    const conversationId = `client-cut-${cut}`;
    const events = await whole({ apiUrl: proxy.url, conversationId });
    proxy.close();

    const indexes = events.flatMap((each) => (each.event === "chunk" ? [each.data.chunk_index] : []));
    expect(indexes).toEqual(indexes.map((_, index) => index));
    expect(events.filter((each) => each.event === "start")).toHaveLength(1);
    expect(events.at(-1)?.event).toBe("end");
    expect(await savedTexts(conversationId)).toEqual(["Hola", textOf(events)]);
    return proxy.requests;
  });
  const requests = await Promise.all(answers);

  expect(requests.every((each) => lastEventId(each[0] ?? "") === undefined)).toBe(true);
  const resumed = requests.filter((each) => each.slice(1).some((request) => lastEventId(request) !== undefined));
  expect(resumed.length).toBeGreaterThan(20);
});

test("an answer whose bytes come one at a time is the same", async () => {
  const real = fetch;
  const bytewise = (): TransformStream<Uint8Array, Uint8Array> =>
    new TransformStream({
      transform: (bytes, controller) => bytes.forEach((_, index) => controller.enqueue(bytes.subarray(index, index + 1))),
    });
  vi.stubGlobal("fetch", async (...given: Parameters<typeof fetch>) => {
    const { body, headers } = await real(...given);
    return new Response(body?.pipeThrough(bytewise()) ?? null, { headers });
  });
  const events = await whole({ conversationId: "client-bytes" }).finally(() => vi.unstubAllGlobals());

  expect(textOf(events)).toContain("¿");
  expect(await savedTexts("client-bytes")).toEqual(["Hola", textOf(events)]);
});

test("a lost line is taken up no earlier than the server said", async () => {
  const proxy = await openProxy(SLOW, [700]);
  const retries: Retry[] = [];
  const events = await whole({ apiUrl: proxy.url, onRetry: (retry) => retries.push(retry) });
  proxy.close();

  expect(events.at(-1)?.event).toBe("end");
  expect(retries.map((each) => [each.attempt, each.error.code])).toEqual([[1, "connection_lost"]]);
  expect(retries[0]?.delayMs).toBeGreaterThanOrEqual(1000);
  expect(retries[0]?.delayMs).toBeLessThanOrEqual(1500);
});

test("a stream that the server closes for its length goes on by itself", async () => {
  const retries: Retry[] = [];
  const events = await whole({
    apiUrl: STRICT,
    getToken: () => OTHER_TOKEN,
    metadata: { client_id: "web" },
    onRetry: (retry) => retries.push(retry),
  });

  expect(events.at(-1)?.event).toBe("end");
  expect(retries.map((each) => each.error.code)).toContain("stream_timeout");
});

test("a refused token is asked for once more", async () => {
  const refusals: (string | undefined)[] = [];
  const getToken = (refused?: string): string => {
    refusals.push(refused);
    return refused === undefined ? OLD_TOKEN : TOKEN;
  };
  const events = await whole({ getToken });

  expect(events.at(-1)?.event).toBe("end");
  expect(refusals).toEqual([undefined, OLD_TOKEN]);
});

test("a token that is refused again is an error, and one that cannot be had is", async () => {
  const same = await failure({ getToken: () => OLD_TOKEN });
  const other = await failure({ getToken: (refused) => (refused === undefined ? "x" : OLD_TOKEN) });
  const none = await failure({ getToken: () => Promise.reject(new Error("logged out")) });

  expect([same.code, same.remedy]).toEqual(["token_expired", "resume"]);
  expect(other.code).toBe("token_expired");
  expect([none.code, none.remedy]).toEqual(["no_token", "resume"]);
});

test("what another message interrupts ends with the server's error", async () => {
  const conversationId = "client-interrupted";
  const events = ask({ conversationId });
  await events.next();
  await events.next();
  const other = whole({ conversationId, message: "Necesito un taxi" });
  const error: unknown = await collect(events).catch((reason: unknown) => reason);

  expect(error).toMatchObject({ code: "interrupted", remedy: "repeat", message: "La respuesta se interrumpió." });
  expect((await other).at(-1)?.event).toBe("end");
});

test("what is refused says why, and whether it is worth another try", async () => {
  const empty = await failure({ message: "" });
  const notVoztaxi = await failure({ apiUrl: `${SLOW}/nowhere` });

  expect([empty.code, empty.remedy, empty.isTransient]).toEqual(["invalid_message", "none", false]);
  expect([notVoztaxi.code, notVoztaxi.remedy]).toEqual(["not_found", "none"]);
});

test("a message that is sent again under its name is answered by the same turn", async () => {
  const given = { conversationId: "client-again", messageId: "m-1" };
  const first = await whole(given);
  const second = await whole(given);

  expect(textOf(second)).toBe(textOf(first));
  expect(await savedTexts("client-again")).toHaveLength(2);
});

test("an ended stream throws the reason, also while it waits to come back", async () => {
  const controller = new AbortController();
  const reason = new Error("enough");
  const events = ask({ signal: controller.signal });
  await events.next();
  controller.abort(reason);
  await expect(events.next()).rejects.toBe(reason);

  const waiting = new AbortController();
  const proxy = await openProxy(SLOW, [10]);
  const ended = whole({ apiUrl: proxy.url, signal: waiting.signal, onRetry: () => waiting.abort(reason) });
  await expect(ended).rejects.toBe(reason);
  proxy.close();
});
