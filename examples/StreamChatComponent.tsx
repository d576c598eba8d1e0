/**
 * A chat with Voztaxi for React 19: copy this file and `streamChat.ts` into a project, and add
 * `eventsource-parser` to its dependencies.
 *
 *     <StreamChatComponent apiUrl="http://localhost:8000" authToken="…" />
 */

import { type FormEvent, useCallback, useEffect, useLayoutEffect, useReducer, useRef, useState } from "react";
import { type GetToken, newMessageId, streamChat, StreamChatError } from "./streamChat";

// What it is given.

/** What people read. */
export interface Labels {
  conversation: string;
  message: string;
  placeholder: string;
  send: string;
  stop: string;
  stopped: string;
  retry: string;
  retryIn: (seconds: number) => string;
  reconnecting: string;
  you: string;
  agent: string;
  /** By code, in place of what the server says, which is Spanish. */
  errors: Readonly<Record<string, string>>;
}

export const SPANISH: Labels = {
  conversation: "Conversación",
  message: "Mensaje",
  placeholder: "Escribe tu mensaje",
  send: "Enviar",
  stop: "Detener",
  stopped: "Detenido",
  retry: "Reintentar",
  retryIn: (seconds) => `Podrás reintentar en ${seconds} s.`,
  reconnecting: "Se perdió la conexión. Reconectando…",
  you: "Tú",
  agent: "Voztaxi",
  errors: {},
};

/** A whole answer. */
export interface Answer {
  conversationId: string;
  text: string;
  messageCount: number;
}

export interface ChatOptions {
  /** Where the server is. A page of another origin has to be in its `ALLOWED_ORIGINS`. */
  apiUrl: string;
  /** See `GetToken`: called for every request, and once more where the server refuses what it returned. */
  getToken: GetToken;
  /** Goes on with this conversation; without one the first message begins a new one. */
  conversationId?: string | undefined;
  metadata?: Readonly<Record<string, unknown>> | undefined;
  /** The answer is whole, and the server has saved it. */
  onEnd?: ((answer: Answer) => void) | undefined;
  /** There is no whole answer. */
  onError?: ((error: StreamChatError) => void) | undefined;
}

/** A token that is passed anew before it runs out, or who to ask for one. */
export type Access = { authToken: string; getToken?: never } | { authToken?: never; getToken: GetToken };

/** What the component takes. Give it another `key` to begin another conversation. */
export type StreamChatProps = Omit<ChatOptions, "getToken"> &
  Access & {
    labels?: Partial<Labels> | undefined;
    className?: string | undefined;
  };

// What is known of a conversation.

export interface Message {
  id: string;
  role: "user" | "assistant";
  text: string;
  state: "streaming" | "done" | "stopped" | "failed";
}

interface Chat {
  messages: readonly Message[];
  isReconnecting: boolean;
  error: StreamChatError | undefined;
}

type Change =
  | { type: "said"; id: string; text: string }
  | { type: "again" }
  | { type: "connected" }
  | { type: "reconnecting" }
  | { type: "words"; content: string }
  | { type: "done" }
  | { type: "stopped" }
  | { type: "failed"; error: StreamChatError };

const EMPTY: Chat = { messages: [], isReconnecting: false, error: undefined };

/** Returns the conversation after a change. The answer that a change is about is the last message. */
function reduce(chat: Chat, change: Change): Chat {
  const withAnswer = (update: (answer: Message) => Partial<Message>): Chat => ({
    messages: chat.messages.map((each, index) =>
      index === chat.messages.length - 1 ? { ...each, ...update(each) } : each,
    ),
    isReconnecting: false,
    error: undefined,
  });
  switch (change.type) {
    case "said": {
      const { id, text } = change;
      const said: Message = { id, role: "user", text, state: "done" };
      const answer: Message = { id: `${id}-answer`, role: "assistant", text: "", state: "streaming" };
      return { ...EMPTY, messages: [...chat.messages, said, answer] };
    }
    case "again":
      return withAnswer(() => ({ text: "", state: "streaming" }));
    case "connected":
      return { ...chat, isReconnecting: false };
    case "reconnecting":
      return { ...chat, isReconnecting: true };
    case "words":
      return withAnswer(({ text }) => ({ text: text + change.content }));
    case "done":
      return withAnswer(() => ({ state: "done" }));
    case "stopped":
      return withAnswer(() => ({ state: "stopped" }));
    case "failed":
      return { ...withAnswer(() => ({ state: "failed" })), error: change.error };
  }
}

export interface StreamChat extends Chat {
  isStreaming: boolean;
  /** Says something; nothing while an answer comes. */
  send: (text: string) => void;
  /** Reads no further. The server ends the answer at the next message, or some time later by itself. */
  stop: () => void;
  /** After an error: gets the same answer from its beginning, or a new one where there is none. */
  retry: () => void;
}

/** A conversation, for a component that looks otherwise. */
export function useStreamChat(options: ChatOptions): StreamChat {
  const [chat, change] = useReducer(reduce, EMPTY);
  const latest = useRef(options);
  useEffect(() => {
    latest.current = options;
  });
  const conversationId = useRef(options.conversationId);
  const asked = useRef({ text: "", messageId: "" });
  const running = useRef<AbortController>(null);
  useEffect(() => () => running.current?.abort(), []);

  const run = useCallback(async (): Promise<void> => {
    const { apiUrl, metadata } = latest.current;
    const controller = new AbortController();
    running.current = controller;
    const answer: Answer = { conversationId: "", text: "", messageCount: 0 };
    try {
      const events = streamChat({
        apiUrl,
        getToken: (refused) => latest.current.getToken(refused),
        metadata,
        message: asked.current.text,
        messageId: asked.current.messageId,
        conversationId: conversationId.current,
        signal: controller.signal,
        onRetry: () => change({ type: "reconnecting" }),
      });
      for await (const { event, data } of events) {
        switch (event) {
          case "start":
            conversationId.current = answer.conversationId = data.conversation_id;
            change({ type: "connected" });
            break;
          case "chunk":
            answer.text += data.content;
            change({ type: "words", content: data.content });
            break;
          case "end":
            answer.messageCount = data.message_count;
            change({ type: "done" });
            break;
        }
      }
    } catch (error) {
      if (controller.signal.aborted) return;
      if (!(error instanceof StreamChatError)) throw error;
      change({ type: "failed", error });
      latest.current.onError?.(error);
      return;
    } finally {
      if (running.current === controller) running.current = null;
    }
    latest.current.onEnd?.(answer);
  }, []);

  const send = useCallback(
    (text: string): void => {
      if (running.current !== null) return;
      asked.current = { text, messageId: newMessageId() };
      change({ type: "said", id: asked.current.messageId, text });
      void run();
    },
    [run],
  );
  const stop = useCallback((): void => {
    if (running.current === null) return;
    running.current.abort();
    running.current = null;
    change({ type: "stopped" });
  }, []);
  const { error } = chat;
  const retry = useCallback((): void => {
    if (error === undefined || error.remedy === "none" || running.current !== null) return;
    if (error.remedy === "repeat") asked.current.messageId = newMessageId();
    change({ type: "again" });
    void run();
  }, [error, run]);

  return { ...chat, isStreaming: chat.messages.at(-1)?.state === "streaming", send, stop, retry };
}

// What is seen.

/** How far from its end a list may be scrolled and still follow what comes, in pixels. */
const NEAR_PX = 40;

export default function StreamChatComponent({
  authToken,
  getToken = () => authToken ?? "",
  labels,
  className,
  ...options
}: StreamChatProps) {
  const words: Labels = { ...SPANISH, ...labels };
  const { messages, isStreaming, isReconnecting, error, send, stop, retry } = useStreamChat({ ...options, getToken });
  const [draft, setDraft] = useState("");
  const input = useRef<HTMLInputElement>(null);
  const list = useRef<HTMLOListElement>(null);
  const isFollowing = useRef(true);

  useLayoutEffect(() => {
    if (isFollowing.current && list.current !== null) list.current.scrollTop = list.current.scrollHeight;
  }, [messages]);

  const follow = (): void => {
    if (list.current === null) return;
    const { scrollHeight, scrollTop, clientHeight } = list.current;
    isFollowing.current = scrollHeight - scrollTop - clientHeight < NEAR_PX;
  };
  const submit = (event: FormEvent): void => {
    event.preventDefault();
    const text = draft.trim();
    if (text === "" || isStreaming) return;
    isFollowing.current = true;
    setDraft("");
    send(text);
  };
  const stopAndType = (): void => {
    stop();
    input.current?.focus(); // the button that had it goes away
  };

  return (
    <section className={`stream-chat ${className ?? ""}`.trim()} aria-label={words.conversation}>
      <style href="stream-chat" precedence="low">
        {STYLE}
      </style>
      <ol ref={list} onScroll={follow} role="log" aria-live="polite" aria-busy={isStreaming} tabIndex={0}>
        {messages.map(({ id, role, text, state }) => (
          <li key={id} data-role={role} data-state={state}>
            <b>{role === "user" ? words.you : words.agent}</b>
            <p>
              {text}
              {state === "streaming" && <span className="stream-chat-cursor" aria-hidden="true" />}
            </p>
            {state === "stopped" && <small>{words.stopped}</small>}
          </li>
        ))}
      </ol>
      <p role="status">{isReconnecting && words.reconnecting}</p>
      {error !== undefined && <Failure key={messages.length} error={error} words={words} onRetry={retry} />}
      <form onSubmit={submit}>
        <input
          ref={input}
          value={draft}
          onChange={(event) => setDraft(event.target.value)}
          placeholder={words.placeholder}
          aria-label={words.message}
          autoComplete="off"
        />
        {isStreaming ? (
          <button type="button" onClick={stopAndType}>
            {words.stop}
          </button>
        ) : (
          <button type="submit" disabled={draft.trim() === ""}>
            {words.send}
          </button>
        )}
      </form>
    </section>
  );
}

/** Says what went wrong, and lets it be tried again as soon as the server wants. */
function Failure({ error, words, onRetry }: { error: StreamChatError; words: Labels; onRetry: () => void }) {
  const [isEarly, setIsEarly] = useState(error.retryAfterMs > 0);
  useEffect(() => {
    const timer = setTimeout(() => setIsEarly(false), error.retryAfterMs);
    return () => clearTimeout(timer);
  }, [error]);

  return (
    <div role="alert">
      <p>
        {words.errors[error.code] ?? error.message} {isEarly && words.retryIn(Math.ceil(error.retryAfterMs / 1000))}
      </p>
      {error.remedy !== "none" && (
        <button type="button" onClick={onRetry} disabled={isEarly}>
          {words.retry}
        </button>
      )}
    </div>
  );
}

const STYLE = `
.stream-chat { display: flex; flex-direction: column; gap: .5rem; height: 100%; font: 1rem/1.5 system-ui, sans-serif; }
.stream-chat ol { flex: 1; min-height: 8rem; overflow-y: auto; margin: 0; padding: .5rem; list-style: none; }
.stream-chat li { width: fit-content; max-width: 80%; margin: 0 0 .75rem; padding: .5rem .75rem; border-radius: .75rem; background: #f1f3f5; color: #1b1f24; }
.stream-chat li[data-role="user"] { margin-left: auto; background: #ffe169; }
.stream-chat li p { margin: 0; white-space: pre-wrap; overflow-wrap: anywhere; }
.stream-chat li b, .stream-chat li small { font-size: .75rem; color: #495057; }
.stream-chat [role="status"] { margin: 0; min-height: 1.5em; font-size: .875rem; }
.stream-chat [role="alert"] { padding: .5rem .75rem; border-left: .25rem solid #c92a2a; background: #fff5f5; color: #7d1a1a; }
.stream-chat [role="alert"] p { margin: 0 0 .25rem; }
.stream-chat form { display: flex; gap: .5rem; }
.stream-chat input { flex: 1; min-width: 0; padding: .5rem .75rem; font: inherit; }
.stream-chat button { padding: .5rem .75rem; font: inherit; }
.stream-chat-cursor { display: inline-block; width: .5em; height: 1em; margin-left: .1em; vertical-align: text-bottom; background: currentColor; animation: stream-chat-blink 1s steps(2) infinite; }
@keyframes stream-chat-blink { to { opacity: 0; } }
@media (prefers-reduced-motion: reduce) { .stream-chat-cursor { animation: none; } }
`;
