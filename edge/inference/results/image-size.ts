/** JPEG frames of every coding (ITU-T T.81, table B.1): their headers tell the size. */
const jpegFrames: ReadonlySet<number> = new Set([
  0xc0, 0xc1, 0xc2, 0xc3, 0xc5, 0xc6, 0xc7, 0xc9, 0xca, 0xcb, 0xcd, 0xce, 0xcf,
]);

/**
 * Colour profiles and previews stand before a JPEG's size, each of at most 64 KiB: half a mebibyte
 * of base64 is room for several. A multiple of four, as base64 is read.
 */
const headChars = 512 * 1024;

/** `WIDTHxHEIGHT` of an image file in base64, or null where it is no image of that format. */
export function imageSize(base64: string, format: "png" | "jpeg" | "webp"): string | null {
  const text = atob(base64.slice(0, headChars));
  const head = new DataView(Uint8Array.from(text, (one) => one.charCodeAt(0)).buffer);
  try {
    if (format === "png") return pngSize(head, text);
    return format === "jpeg" ? jpegSize(head) : webpSize(head, text);
  } catch (error) {
    // The file ends before its own header does.
    if (error instanceof RangeError) return null;
    throw error;
  }
}

/** PNG (ISO 15948): the first chunk is IHDR, and begins with both sides. */
function pngSize(head: DataView, text: string): string | null {
  if (!text.startsWith("\x89PNG\r\n\x1a\n") || text.slice(12, 16) !== "IHDR") return null;
  return `${head.getUint32(16)}x${head.getUint32(20)}`;
}

/** JPEG (ITU-T T.81, annex B): marker segments up to the frame's. */
function jpegSize(head: DataView): string | null {
  if (head.getUint16(0) !== 0xffd8) return null;
  for (let at = 2; ;) {
    if (head.getUint8(at) !== 0xff) return null;
    const marker = head.getUint8(at + 1);
    if (jpegFrames.has(marker)) return `${head.getUint16(at + 7)}x${head.getUint16(at + 5)}`;
    // 0xff may be repeated before a marker.
    at += marker === 0xff ? 1 : 2 + head.getUint16(at + 2);
  }
}

/** WebP (RFC 9649): lossy, lossless or extended, each with its own place for the size. */
function webpSize(head: DataView, text: string): string | null {
  if (!text.startsWith("RIFF") || text.slice(8, 12) !== "WEBP") return null;
  switch (text.slice(12, 16)) {
    case "VP8 ":
      return `${head.getUint16(26, true) & 0x3fff}x${head.getUint16(28, true) & 0x3fff}`;
    case "VP8L": {
      const bits = head.getUint32(21, true);
      return `${(bits & 0x3fff) + 1}x${((bits >>> 14) & 0x3fff) + 1}`;
    }
    case "VP8X": {
      const side = (at: number) => head.getUint16(at, true) + head.getUint8(at + 2) * 0x1_00_00 + 1;
      return `${side(24)}x${side(27)}`;
    }
    default:
      return null;
  }
}
