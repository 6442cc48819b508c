import { z } from "zod";
import { slotsMax } from "./limits.ts";
import { signedReceiptSchema } from "./receipt.ts";

/**
 * Worker → hub: I can take so many more attempts. Every offer uses one up; an ended attempt is
 * granted again.
 */
export const creditGrantSchema = z.object({
  type: z.literal("credit.grant"),
  slots: z.int().min(1).max(slotsMax),
});

/** Worker → hub: no more offers, I am leaving once what runs has ended. */
export const workerDrainSchema = z.object({ type: z.literal("worker.drain") });

/**
 * Worker → hub: receipts of attempts whose settlement was never acknowledged, with the tickets they
 * came with.
 */
export const receiptSubmitSchema = z.object({
  type: z.literal("receipt.submit"),
  entries: z
    .array(z.object({ ticket: z.string().max(4096), signed: signedReceiptSchema }))
    .min(1)
    .max(32),
});
export type ReceiptSubmit = z.infer<typeof receiptSubmitSchema>;

/** Hub → worker: these attempts are settled (or never will be); their receipts need not be kept. */
export const receiptAckSchema = z.object({
  type: z.literal("receipt.ack"),
  attempts: z.array(z.string()).min(1).max(1024),
});
