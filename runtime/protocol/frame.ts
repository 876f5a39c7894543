import { FarcallError } from "../spec/errors.ts";

/**
 * A frame on the wire: the byte length of the header (unsigned 32-bit, little-endian), the header as JSON,
 * and a body of raw bytes that only the two ends of a call understand.
 */
export interface Frame {
  header: Record<string, unknown>;
  body: Uint8Array;
}

const lengthBytes = 4;
const maxHeaderBytes = 1024 * 1024;
export const emptyBody = new Uint8Array(0);

/** Throws `value.too-large` for a header that `decodeFrame` would refuse. */
export function encodeFrame(header: object, body: Uint8Array = emptyBody): Uint8Array {
  const text = JSON.stringify(header);
  const headerBytes = Buffer.byteLength(text);
  if (headerBytes > maxHeaderBytes) {
    throw new FarcallError(
      "value.too-large",
      `A message cannot be sent: its header of ${headerBytes} bytes is over the limit of ${maxHeaderBytes}.`,
    );
  }
  const frame = Buffer.allocUnsafe(lengthBytes + headerBytes + body.byteLength);
  frame.writeUInt32LE(headerBytes, 0);
  frame.write(text, lengthBytes);
  if (body.byteLength > 0) frame.set(body, lengthBytes + headerBytes);
  return frame;
}

/** Throws `protocol.invalid` for anything that is not a frame. */
export function decodeFrame(bytes: Uint8Array): Frame {
  const frame = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (frame.byteLength < lengthBytes) throw invalid("it is shorter than its length field");
  const headerBytes = frame.readUInt32LE(0);
  const bodyAt = lengthBytes + headerBytes;
  if (headerBytes > maxHeaderBytes || bodyAt > frame.byteLength) throw invalid("its header is too long");
  let header: unknown;
  try {
    header = JSON.parse(frame.toString("utf8", lengthBytes, bodyAt));
  } catch {
    throw invalid("its header is not JSON");
  }
  if (typeof header !== "object" || header === null || Array.isArray(header)) throw invalid("its header is no object");
  return { header: header as Record<string, unknown>, body: frame.subarray(bodyAt) };
}

function invalid(why: string): FarcallError {
  return new FarcallError("protocol.invalid", `A frame cannot be read: ${why}.`);
}
