import { z } from "zod";
import { authChallengeSchema, authProveSchema, authWelcomeSchema } from "./handshake.ts";
import { listingPublishSchema, listingResultSchema } from "./listing.ts";
import {
  creditGrantSchema,
  receiptAckSchema,
  receiptSubmitSchema,
  workerDrainSchema,
} from "./session.ts";
import {
  taskAcceptSchema,
  taskBodySchema,
  taskCancelSchema,
  taskDeltaSchema,
  taskEndSchema,
  taskFailSchema,
  taskOfferSchema,
  taskRefuseSchema,
  taskWindowSchema,
} from "./task.ts";

/** Everything a worker may say. */
export const upFrameSchema = z.discriminatedUnion("type", [
  authProveSchema,
  listingPublishSchema,
  creditGrantSchema,
  workerDrainSchema,
  taskAcceptSchema,
  taskRefuseSchema,
  taskDeltaSchema,
  taskEndSchema,
  taskFailSchema,
  receiptSubmitSchema,
]);
export type UpFrame = z.infer<typeof upFrameSchema>;

/** Everything a hub may say. */
export const downFrameSchema = z.discriminatedUnion("type", [
  authChallengeSchema,
  authWelcomeSchema,
  listingResultSchema,
  taskOfferSchema,
  taskBodySchema,
  taskWindowSchema,
  taskCancelSchema,
  receiptAckSchema,
]);
export type DownFrame = z.infer<typeof downFrameSchema>;
