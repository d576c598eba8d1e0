// The official client, driven by lines of JSON: what is to be emitted comes in, what the server sends goes out.
import { createInterface } from "node:readline";
import { io } from "socket.io-client";

const [url, transports] = process.argv.slice(2);
const tell = (...said) => process.stdout.write(`${JSON.stringify(said)}\n`);

const socket = io(url, { transports: transports.split(","), reconnectionDelay: 50, reconnectionDelayMax: 200 });
socket.on("connect", () => tell("connected", { transport: socket.io.engine.transport.name }));
socket.on("disconnect", (reason) => tell("disconnected", { reason }));
socket.onAny((name, payload) => tell(name, payload));

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const [name, payload] = JSON.parse(line);
    socket.emit(name, payload, () => tell("acknowledged", null));
  })
  .on("close", () => socket.disconnect());
