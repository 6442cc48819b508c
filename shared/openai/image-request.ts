import { z } from "zod";
import { octoOptionsSchema } from "./octo-options.ts";

/** OpenAI's own ceiling. */
const imagesMax = 10;
/** The widest image diffusion servers make without tiling. */
const sideMax = 4096;

const size = z
  .string()
  .regex(/^[1-9]\d{1,3}x[1-9]\d{1,3}$/, "WIDTHxHEIGHT in pixels, say 512x512")
  .refine((text) => text.split("x").every((side) => Number(side) <= sideMax), {
    message: `no side is over ${sideMax} pixels`,
  });

/**
 * The body of `POST /v1/images/generations`. Answers hold the image itself: a URL would have to be
 * kept somewhere.
 */
export const imageRequestSchema = z.looseObject({
  model: z.string().min(1).max(200),
  prompt: z.string().min(1).max(32_000),
  n: z.int().min(1).max(imagesMax).nullish(),
  size: size.nullish(),
  response_format: z.literal("b64_json", "images come as b64_json only").nullish(),
  output_format: z.enum(["png", "jpeg", "webp"]).nullish(),
  user: z.string().max(512).nullish(),
  octo: octoOptionsSchema.nullish(),
});

export type ImageRequest = z.infer<typeof imageRequestSchema>;

/** The size of an image when nobody asks for one: what every diffusion model can do. */
export const imageSizeDefault = "512x512";

/**
 * What one image counts for: a token for each 16 × 16 pixels begun, the patch of today's vision
 * and diffusion transformers, so that the edge can compute it without looking at the image.
 */
export function imageTokens(size: string = imageSizeDefault): number {
  const [width = 0, height = 0] = size.split("x").map(Number);
  return Math.ceil(width / 16) * Math.ceil(height / 16);
}
