import { createServer, type ServerResponse } from "node:http";
import { parentPort, workerData } from "node:worker_threads";
import type { Reply } from "../load/reply.ts";

const { pieces, everyMs } = workerData as Reply;

/** Answers every request with the same event stream, in the given pieces, at the given pace. */
const server = createServer((incoming, outgoing) => {
  incoming.resume();
  incoming.once("end", () => {
    outgoing.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });
    if (everyMs > 0) return sendPaced(outgoing);
    for (const piece of pieces) outgoing.write(piece);
    outgoing.end();
  });
});

/** Each piece is due at a time of its own, so that a late one does not make all later ones late. */
function sendPaced(outgoing: ServerResponse): void {
  const startMs = performance.now();
  let next = 0;
  const send = () => {
    const piece = pieces[next];
    if (piece === undefined || outgoing.destroyed) return void outgoing.end();
    outgoing.write(piece);
    next += 1;
    setTimeout(send, Math.max(0, startMs + next * everyMs - performance.now()));
  };
  send();
}

server.listen(0, "127.0.0.1", () => {
  const address = server.address();
  parentPort?.postMessage(typeof address === "object" ? address?.port : null);
});
