/** A line that breaks on order: it passes on every byte, up to the one that it was told. */

import { type AddressInfo, connect, createServer, type Socket } from "node:net";

export interface Proxy {
  url: string;
  /** The head of each request, in order. */
  requests: string[];
  /** The connections that clients have. */
  open: Set<Socket>;
  close: () => void;
}

/** Listens before a server; the n-th connection breaks after `cuts[n]` bytes of answers, those after it never. */
export async function openProxy(target: string, cuts: readonly number[]): Promise<Proxy> {
  const { hostname, port } = new URL(target);
  const requests: string[] = [];
  const open = new Set<Socket>();
  let connections = 0;
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    open.add(client);
    let left = cuts[connections++] ?? Infinity;
    const end = (): void => {
      client.destroy();
      upstream.destroy();
      open.delete(client);
    };
    client.on("data", (data) => {
      const head = data.toString("latin1");
      if (head.startsWith("POST ")) requests.push(head);
      upstream.write(data);
    });
    upstream.on("data", (data) => {
      const passed = data.subarray(0, left);
      left -= passed.length;
      client.write(passed, () => left === 0 && end());
    });
    for (const socket of [client, upstream]) socket.on("error", end).on("close", end);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    open,
    close: () => {
      server.close();
      for (const client of open) client.destroy();
    },
  };
}
