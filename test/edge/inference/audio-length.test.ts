import { describe, expect, test } from "vitest";
import { audioSeconds } from "../../../edge/inference/results/audio-length.ts";
import { id3Tag, mp3File, opusFile } from "../../helpers/audio-files.ts";

const seconds = (file: Buffer) => audioSeconds(file.toString("base64"));
/** What the lowest sensible rate makes of a file. */
const longest = (file: Buffer) => file.length / 750;

describe("an MP3 file", () => {
  const frameSeconds = 1152 / 44_100;

  test("is as long as its frames, and not 21 times as long", () => {
    expect(seconds(mp3File(1_000))).toBeCloseTo(1_000 * frameSeconds, 6);
  });

  test("is no longer for the picture before its sound and the tag behind it", () => {
    const tag = Buffer.alloc(128);
    tag.write("TAG", 0, "latin1");
    const file = Buffer.concat([id3Tag(200_000), mp3File(100), tag]);
    expect(seconds(file)).toBeCloseTo(100 * frameSeconds + 128 / 750, 6);
  });

  test("that ends in the middle of a frame has it", () => {
    expect(seconds(mp3File(100).subarray(0, 417 * 99 + 50))).toBeCloseTo(100 * frameSeconds, 6);
  });

  test("has what lies between its frames counted at the lowest rate", () => {
    const file = Buffer.concat([mp3File(50), Buffer.alloc(7_500, 7), mp3File(50)]);
    // The frame before a gap is not known for one: nothing follows it.
    expect(seconds(file)).toBeCloseTo(99 * frameSeconds + (7_500 + 417) / 750, 6);
  });

  test("of slow frames, the most that a lie about the first could save, is counted by each", () => {
    const slow = Buffer.alloc(24);
    // 8 kbit/s at 24 kHz: 24 ms in 24 bytes.
    slow.set([0xff, 0xf3, 0x14, 0xc4]);
    const slowFrames = Buffer.concat(Array.from({ length: 1_000 }, () => slow));
    const file = Buffer.concat([mp3File(2), slowFrames]);
    expect(seconds(file)).toBeGreaterThan(24);
  });

  test("that is mostly something else is as long as the lowest rate makes it", () => {
    const file = Buffer.concat([mp3File(10), Buffer.alloc(70_000, 7)]);
    expect(seconds(file)).toBe(longest(file));
  });
});

describe("an Ogg file of Opus", () => {
  test.each([
    ["20 ms of speech", 0x08, 20],
    ["two frames of 60 ms", 0x19, 120],
    ["as many frames as the next byte says", 0x0b, 20],
    ["2.5 ms of music", 0x80, 2.5],
    ["20 ms of both", 0x68, 20],
  ])("is as long as its packets (%s)", (_, toc, ms) => {
    expect(seconds(opusFile(100, { toc }))).toBeCloseTo((100 * ms) / 1000, 6);
  });

  test("of silence is never longer than at the lowest rate", () => {
    // One byte more than the table knows: 63 frames of 60 ms in 300 bytes.
    const file = Buffer.from(
      opusFile(100, { toc: 0x1b }).toString("latin1").replaceAll("\x1b\x01", "\x1b\x3f"),
      "latin1",
    );
    expect(seconds(file)).toBe(longest(file));
  });

  test.each([
    ["with a second stream in it", Buffer.concat([opusFile(9), opusFile(9, { serial: 8 })])],
    ["with something behind it", Buffer.concat([opusFile(9), Buffer.alloc(99)])],
    ["of another coding", Buffer.from(opusFile(9).toString("latin1").replace("Opus", "Spee"))],
    ["of nothing but heads", opusFile(0)],
  ])("%s is as long as the lowest rate makes it", (_, file) => {
    expect(seconds(file)).toBe(longest(file));
  });
});

test("an empty file has no sound", () => {
  expect(seconds(Buffer.alloc(0))).toBe(0);
});
