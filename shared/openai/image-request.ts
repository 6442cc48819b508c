import { z } from "zod";
import { octoOptionsSchema } from "./octo-options.ts";

/** OpenAI's own ceiling. */
const imagesMax = 10;
/** The widest image diffusion servers make without tiling. */
const sideMax = 4096;
/**
 * Diffusion models work on patches of 8 to 64 pixels, and their servers silently round a size that
 * is no multiple of theirs: such an image is not the one asked for, and costs nothing.
 */
const sideStep = 64;

export const imageFormats = ["png", "jpeg", "webp"] as const;
export type ImageFormat = (typeof imageFormats)[number];

/** `image:jpeg` and the like: the files an engine can make, each an ability of its own. */
export type ImageAbility = `image:${ImageFormat}`;

export function imageAbility(format: ImageFormat): ImageAbility {
  return `image:${format}`;
}

const size = z
  .string()
  .regex(/^[1-9]\d{1,3}x[1-9]\d{1,3}$/, "WIDTHxHEIGHT in pixels, say 512x512")
  .refine((text) => text.split("x").every((side) => Number(side) <= sideMax), {
    message: `no side is over ${sideMax} pixels`,
  })
  .refine((text) => text.split("x").every((side) => Number(side) % sideStep === 0), {
    message: `each side is a multiple of ${sideStep} pixels`,
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
  output_format: z.enum(imageFormats).nullish(),
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
