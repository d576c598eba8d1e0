// @vitest-environment jsdom
import { cleanup, render, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, expect, test, vi } from "vitest";
import StreamChatComponent, { type Access, type Answer, type StreamChatProps } from "../StreamChatComponent";
import type { StreamChatError } from "../streamChat";
import { openProxy } from "./proxy";
import { bookings, OLD_TOKEN, savedTexts, SLOW, STRICT, TOKEN } from "./server";

const LINES = ["Hola", "Necesito un taxi", "Calle 72 #43-25", "El Prado", "En efectivo", "No", "Sí, confirmo"];
const SECONDS = { timeout: 20_000 };

afterEach(cleanup);

function show(props: Partial<Omit<StreamChatProps, keyof Access>>, access: Access = { authToken: TOKEN }) {
  const onEnd = vi.fn<(answer: Answer) => void>();
  const onError = vi.fn<(error: StreamChatError) => void>();
  const view = render(<StreamChatComponent apiUrl={SLOW} onEnd={onEnd} onError={onError} {...access} {...props} />);
  return { onEnd, onError, user: userEvent.setup(), ...view };
}

async function say(user: ReturnType<typeof userEvent.setup>, text: string): Promise<void> {
  await user.type(screen.getByRole("textbox", { name: "Mensaje" }), `${text}{Enter}`);
}

/** Returns the text of each message, and its state. */
function messages(): [string, string | undefined][] {
  return screen.queryAllByRole("listitem").map((each) => [each.querySelector("p")?.textContent ?? "", each.dataset["state"]]);
}

const lastState = (): string | undefined => messages().at(-1)?.[1];
const lastText = (): string => messages().at(-1)?.[0] ?? "";

test("a rider books a taxi, and reads what the server has saved", async () => {
  const { onEnd, onError, user } = show({});
  for (const [index, line] of LINES.entries()) {
    await say(user, line);
    await waitFor(() => expect(onEnd).toHaveBeenCalledTimes(index + 1), SECONDS);
  }
  const answers = onEnd.mock.calls.map(([answer]) => answer);
  const { conversationId } = answers[0] as Answer;

  expect(onError).not.toHaveBeenCalled();
  expect(new Set(answers.map((answer) => answer.conversationId))).toEqual(new Set([conversationId]));
  expect(lastText()).toContain("Tu taxi va en camino");
  expect(await bookings(conversationId)).toBe(1);
  const shown = messages().map(([text]) => text);
  expect(shown).toEqual(LINES.flatMap((line, index) => [line, answers[index]?.text]));
  expect(shown).toEqual(await savedTexts(conversationId));
});

test("words appear as they come, with a cursor, and are announced when they are whole", async () => {
  const { container, onEnd, user } = show({});
  const seen = new Set<string>();
  const observer = new MutationObserver(() => seen.add(lastText()));
  observer.observe(container, { subtree: true, childList: true, characterData: true });
  await say(user, "Hola");
  await waitFor(() => expect(lastText()).not.toBe(""), SECONDS);
  const log = screen.getByRole("log");

  expect(log.getAttribute("aria-live")).toBe("polite");
  expect(log.getAttribute("aria-busy")).toBe("true");
  expect(container.querySelector(".stream-chat-cursor")).not.toBeNull();
  await waitFor(() => expect(onEnd).toHaveBeenCalledOnce(), SECONDS);
  observer.disconnect();
  expect(log.getAttribute("aria-busy")).toBe("false");
  expect(container.querySelector(".stream-chat-cursor")).toBeNull();
  expect(seen.size).toBeGreaterThan(4);
  expect([...seen].every((text) => text === "Hola" || lastText().startsWith(text))).toBe(true);
});

test("a line that is cut in the middle is taken up, and the text is the saved one", async () => {
  const proxy = await openProxy(SLOW, [900, 500]);
  const { onEnd, onError, user } = show({ apiUrl: proxy.url, conversationId: "shown-cut" });
  await say(user, "Hola");
  await waitFor(() => expect(screen.getByRole("status").textContent).toContain("Reconectando"), SECONDS);
  const before = lastText();
  await waitFor(() => expect(onEnd).toHaveBeenCalledOnce(), SECONDS);
  proxy.close();

  expect(before).not.toBe("");
  expect(lastText().startsWith(before)).toBe(true);
  expect(before.length).toBeLessThan(lastText().length);
  expect(screen.getByRole("status").textContent).toBe("");
  expect(onError).not.toHaveBeenCalled();
  expect(await savedTexts("shown-cut")).toEqual(["Hola", lastText()]);
});

test("a token that ran out is asked for once more, unseen", async () => {
  const getToken = vi.fn(async (refused?: string) => (refused === OLD_TOKEN ? TOKEN : OLD_TOKEN));
  const { onEnd, onError, user } = show({}, { getToken });
  await say(user, "Hola");
  await waitFor(() => expect(onEnd).toHaveBeenCalledOnce(), SECONDS);

  expect(getToken.mock.calls).toEqual([[undefined], [OLD_TOKEN]]);
  expect(onError).not.toHaveBeenCalled();
});

test("an expired login is told, and the same message is answered after a new one", async () => {
  const { onEnd, onError, rerender, user } = show({}, { authToken: OLD_TOKEN });
  await say(user, "Hola");
  const alert = await screen.findByRole("alert", {}, SECONDS);

  expect(alert.textContent).not.toBe("");
  expect(onError.mock.calls[0]?.[0].code).toBe("token_expired");
  rerender(<StreamChatComponent apiUrl={SLOW} authToken={TOKEN} onEnd={onEnd} />);
  await user.click(screen.getByRole("button", { name: "Reintentar" }));
  await waitFor(() => expect(onEnd).toHaveBeenCalledOnce(), SECONDS);
  expect(screen.queryByRole("alert")).toBeNull();
  expect(messages()).toEqual([
    ["Hola", "done"],
    [onEnd.mock.calls[0]?.[0].text, "done"],
  ]);
});

test("an answer that was interrupted elsewhere is said again", async () => {
  const conversationId = "shown-interrupted";
  const { onEnd, onError, user } = show({ conversationId });
  await say(user, "Hola");
  await waitFor(() => expect(lastText()).not.toBe(""), SECONDS);
  await fetch(`${SLOW}/api/v1/chat`, {
    method: "POST",
    headers: { "Content-Type": "application/json", Authorization: `Bearer ${TOKEN}` },
    body: JSON.stringify({ text: "Adiós", thread_id: conversationId }),
  });
  const alert = await screen.findByRole("alert", {}, SECONDS);

  expect(alert.textContent).toContain("La respuesta se interrumpió.");
  expect(onError.mock.calls[0]?.[0].code).toBe("interrupted");
  expect(lastState()).toBe("failed");
  await user.click(screen.getByRole("button", { name: "Reintentar" }));
  await waitFor(() => expect(onEnd).toHaveBeenCalledOnce(), SECONDS);
  const saved = await savedTexts(conversationId);
  expect(saved.filter((each) => each === "Hola")).toHaveLength(2);
  expect(saved.at(-1)).toBe(lastText());
});

test("who asks too often is told for how long to wait, and let in after it", async () => {
  const labels = { errors: { rate_limited: "Slow down." }, retry: "Try again", retryIn: (s: number) => `${s} seconds` };
  const { onEnd, onError, user } = show({ apiUrl: STRICT, labels });
  await say(user, "Hola");
  await waitFor(() => expect(onEnd).toHaveBeenCalledOnce(), SECONDS);
  let asked = 1;
  while (onError.mock.calls.length === 0) {
    await say(user, "Hola");
    asked += 1;
    await waitFor(() => expect(onEnd.mock.calls.length + onError.mock.calls.length).toBe(asked), SECONDS);
  }
  const alert = await screen.findByRole("alert", {}, SECONDS);
  const again = screen.getByRole<HTMLButtonElement>("button", { name: "Try again" });

  expect(alert.textContent).toMatch(/^Slow down\. \d+ seconds/);
  expect(again.disabled).toBe(true);
  await waitFor(() => expect(again.disabled).toBe(false), SECONDS);
  await user.click(again);
  await waitFor(() => expect(onEnd).toHaveBeenCalledTimes(asked), SECONDS);
});

test("a stopped answer keeps its words, and the next message is answered", async () => {
  const { onEnd, onError, user } = show({ conversationId: "shown-stopped" });
  await say(user, "Hola");
  await waitFor(() => expect(lastText()).not.toBe(""), SECONDS);
  await user.click(screen.getByRole("button", { name: "Detener" }));
  const [stopped, state] = messages().at(-1) ?? [];

  expect(state).toBe("stopped");
  expect(screen.getByText("Detenido")).toBeDefined();
  expect(document.activeElement).toBe(screen.getByRole("textbox"));
  await say(user, "Necesito un taxi");
  await waitFor(() => expect(onEnd).toHaveBeenCalledOnce(), SECONDS);
  expect(messages()[1]).toEqual([stopped, "stopped"]);
  expect(onError).not.toHaveBeenCalled();
  expect((await savedTexts("shown-stopped")).at(-1)).toBe(lastText());
});

test("what cannot be sent again offers no retry", async () => {
  const { onError, user } = show({ conversationId: "shown with spaces" });
  await say(user, "Hola");
  await screen.findByRole("alert", {}, SECONDS);

  expect(onError.mock.calls[0]?.[0].remedy).toBe("none");
  expect(screen.queryByRole("button", { name: "Reintentar" })).toBeNull();
});

test("the list follows what comes, but not who reads further up", async () => {
  const { onEnd, user } = show({});
  const log = screen.getByRole("log");
  Object.defineProperties(log, { scrollHeight: { value: 1000 }, clientHeight: { value: 200 } });
  await say(user, "Hola");
  await waitFor(() => expect(log.scrollTop).toBe(1000), SECONDS);
  log.scrollTop = 300;
  log.dispatchEvent(new Event("scroll", { bubbles: true }));
  await waitFor(() => expect(onEnd).toHaveBeenCalledOnce(), SECONDS);
  expect(log.scrollTop).toBe(300);

  await say(user, "Necesito un taxi");
  await waitFor(() => expect(log.scrollTop).toBe(1000), SECONDS);
});

test("the words of the interface can be others", () => {
  show({ labels: { send: "Send", placeholder: "Say something", message: "Message" }, className: "mine" });

  expect(screen.getByRole("button", { name: "Send" })).toBeDefined();
  expect(screen.getByRole("textbox", { name: "Message" }).getAttribute("placeholder")).toBe("Say something");
  expect(screen.getByRole("region", { name: "Conversación" }).className).toBe("stream-chat mine");
});

test("a component that goes away closes its stream", async () => {
  const proxy = await openProxy(SLOW, []);
  const { onEnd, onError, unmount, user } = show({ apiUrl: proxy.url });
  await say(user, "Hola");
  await waitFor(() => expect(lastText()).not.toBe(""), SECONDS);
  unmount();
  await waitFor(() => expect(proxy.open.size).toBe(0), SECONDS);
  proxy.close();

  expect(onEnd).not.toHaveBeenCalled();
  expect(onError).not.toHaveBeenCalled();
});
