import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { HubSocket } from "../../../worker-agent/connection/hub-socket.ts";

test.for([200, 404, 503])(
  "an edge that answers %i instead of a socket is left at once, with its status",
  async (status) => {
    const server = createServer((_request, response) => response.writeHead(status).end("a page"));
    server.on("upgrade", (_request, socket) => {
      socket.end(`HTTP/1.1 ${status} Said\r\ncontent-length: 0\r\n\r\n`);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const { port } = server.address() as AddressInfo;
    const closed = await new Promise((resolve) => {
      const socket = new HubSocket(`ws://127.0.0.1:${port}/worker`, "octo-worker/test", {
        opened: () => undefined,
        received: () => undefined,
        closed: (code, reason) => resolve({ code, reason }),
      });
      onTestFinished(() => socket.hangUp(1000, "done"));
    });
    expect(closed).toEqual({ code: 1006, reason: `the edge answered ${status}` });
  },
);
