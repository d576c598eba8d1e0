/** The running server, as its operator started it for these tests. */

import { inject } from "vitest";

declare module "vitest" {
  interface ProvidedContext {
    /** A server whose words come slowly. */
    slowUrl: string;
    /** One that lets in one turn of an account in ten seconds, and closes a stream after one. */
    strictUrl: string;
    token: string;
    /** Of another account. */
    otherToken: string;
    /** Ran out long ago. */
    oldToken: string;
  }
}

export const SLOW = inject("slowUrl");
export const STRICT = inject("strictUrl");
export const TOKEN = inject("token");
export const OTHER_TOKEN = inject("otherToken");
export const OLD_TOKEN = inject("oldToken");

async function get(path: string): Promise<unknown> {
  const response = await fetch(`${SLOW}${path}`, { headers: { Authorization: `Bearer ${TOKEN}` } });
  return response.json();
}

/** Returns what the server has saved of a conversation: what the rider said, and each turn's whole answer. */
export async function savedTexts(conversationId: string): Promise<string[]> {
  const session = (await get(`/api/chat/realtime/sessions/${conversationId}/messages`)) as { messages: { content: string }[] };
  return session.messages.map((each) => each.content);
}

/** Returns how many taxis were booked in a conversation. */
export async function bookings(conversationId: string): Promise<number> {
  const found = (await get(`/api/v1/bookings?thread_id=${conversationId}`)) as { bookings: unknown[] };
  return found.bookings.length;
}
