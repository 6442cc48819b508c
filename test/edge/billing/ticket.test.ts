import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import { TicketSeal } from "../../../edge/billing/ticket.ts";
import { fromBase64Url, toBase64Url, utf8 } from "../../../shared/crypto/bytes.ts";
import { terms } from "./closings.ts";

const seal = new TicketSeal("a secret of at least thirty-two characters");

describe("a sealed ticket", () => {
  test("opens to exactly the terms that were sealed", async () => {
    const of = terms("tsk_1", { limit: "9007199254740991", model: "naïve 🦑" });
    expect(await seal.open(await seal.seal(of))).toEqual(of);
  });

  test("fits the frame that carries it", async () => {
    const ticket = await seal.seal(terms("tsk_1", { model: "m".repeat(200) }));
    expect(ticket.length).toBeLessThan(4_096);
  });

  test("does not open with another secret", async () => {
    const other = new TicketSeal("another secret of at least thirty-two characters");
    expect(await other.open(await seal.seal(terms("tsk_1")))).toBeNull();
  });

  test("does not open with any character changed", async () => {
    const ticket = await seal.seal(terms("tsk_1"));
    await fc.assert(
      fc.asyncProperty(fc.nat(ticket.length - 1), fc.base64String(), async (at, digits) => {
        const digit = digits[0] ?? "-";
        const changed = ticket.slice(0, at) + digit + ticket.slice(at + 1);
        const opened = await seal.open(changed);
        // The last digit of base64url may carry bits that stand for nothing.
        if (opened !== null) expect(bytesOf(changed)).toEqual(bytesOf(ticket));
      }),
    );
  });

  test("does not open with other terms under its seal", async () => {
    const [, mac] = (await seal.seal(terms("tsk_1", { limit: "10" }))).split(".");
    const body = toBase64Url(utf8(JSON.stringify(terms("tsk_1", { limit: "9999999" }))));
    expect(await seal.open(`${body}.${mac}`)).toBeNull();
  });

  test.each(["", ".", "a", "a.b", "..", "!.?", "e30."])("is never %o", async (text) => {
    expect(await seal.open(text)).toBeNull();
  });
});

function bytesOf(ticket: string): (string | undefined)[] {
  return ticket.split(".").map((part) => fromBase64Url(part)?.join());
}
