import { createServer } from "node:http";
import { parentPort, workerData } from "node:worker_threads";

const pieces = workerData as readonly string[];

/** Answers every request with the same event stream, in the given pieces, as fast as it can. */
const server = createServer((incoming, outgoing) => {
  incoming.resume();
  incoming.once("end", () => {
    outgoing.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
    for (const piece of pieces) outgoing.write(piece);
    outgoing.end();
  });
});

server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  parentPort?.postMessage(typeof address === "object" ? address?.port : null);
});
